/** By UTF-16 code units, as JavaScript compares: the order in which stores list names, and in which rows are locked. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
