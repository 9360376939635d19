// What a pool's thread runs: one tile. Its points go to the main thread without being copied.
import { ComputePool } from "carillon/pool";
import { type Picture, render, type Tile } from "./tiles.js";

export interface Task {
  readonly picture: Picture;
  readonly tile: Tile;
}

export default function renderTile({ picture, tile }: Task) {
  return ComputePool.move(render(picture, tile));
}
