// Strings as bytes: UTF-8, one byte a character, or UTF-16, whichever is smaller, and faster where that is equal. Lone
// surrogates survive in UTF-16 only.
// Not responsible for memory (slab.ts).
import { rubbish } from "./kinds.js";
import { room, SMALL, take } from "./slab.js";

export const TextForm = { utf8: 0, latin1: 1, utf16: 2 } as const;
export type TextForm = (typeof TextForm)[keyof typeof TextForm];

/** Up to here TextDecoder decodes ASCII faster than Buffer's Latin-1 does. */
const SHORT = 1024;
const MAX_UTF8_BYTES_PER_UNIT = 3;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface EncodedText {
  readonly form: TextForm;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function encodeText(text: string): EncodedText {
  return text.length <= SMALL ? encodeSmall(text) : encodeLarge(text);
}

function encodeSmall(text: string): EncodedText {
  const { slab, offset } = room(text.length * MAX_UTF8_BYTES_PER_UNIT);
  const written = slab.write(text, offset);
  if (written === text.length) {
    return { form: written <= SHORT ? TextForm.utf8 : TextForm.latin1, bytes: take(written) };
  }
  if (isLatin1(text)) return { form: TextForm.latin1, bytes: take(slab.write(text, offset, "latin1")) };
  if (isSmallerAsUtf8(text, written)) return { form: TextForm.utf8, bytes: take(written) };
  return { form: TextForm.utf16, bytes: take(slab.write(text, offset, "utf16le")) };
}

function encodeLarge(text: string): EncodedText {
  const size = Buffer.byteLength(text);
  if (size === text.length) return { form: TextForm.latin1, bytes: fresh(text, size, "latin1") };
  if (isSmallerAsUtf8(text, size)) return { form: TextForm.utf8, bytes: fresh(text, size, "utf8") };
  return { form: TextForm.utf16, bytes: fresh(text, text.length * 2, "utf16le") };
}

function fresh(text: string, size: number, encoding: BufferEncoding): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(size) as Buffer<ArrayBuffer>;
  bytes.write(text, encoding);
  return bytes;
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}

/** And lossless: every supported Node.js has isWellFormed, the compiler's library declares it for ES2024 only. */
function isSmallerAsUtf8(text: string, utf8Bytes: number): boolean {
  return utf8Bytes < text.length * 2 && (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** @throws CarillonError ERR_CARILLON_DATA_DECODE */
export function decodeText(form: TextForm, data: Uint8Array<ArrayBuffer>): string {
  try {
    if (form === TextForm.utf8) return decoder.decode(data);
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (form === TextForm.latin1) return bytes.toString("latin1");
    if (data.byteLength % 2 === 0) return bytes.toString("utf16le");
  } catch (cause) {
    // Not UTF-8, or longer than a string of this runtime may be.
    rubbish((cause as Error).message, cause);
  }
  return rubbish(`${data.byteLength} bytes are no whole number of UTF-16 units`);
}
