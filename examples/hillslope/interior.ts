// What the computation that hides the messages is called where it is measured: in a timeline, and by whoever observes.
export const INTERIOR = "interior points";
