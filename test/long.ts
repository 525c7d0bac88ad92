const isLong = process.env['SLUICE_LONG'] === '1'

interface Lengths<T> {
  /** In every run: longer than what the fault is about, and no more. */
  readonly gate: T
  /** With `SLUICE_LONG=1`: what the published figures were measured with. */
  readonly long: T
}

/** How long a fault lasts in this run, mostly in ms. What a test states holds for both; only the time differs. */
export function lasting<T = number>({ gate, long }: Lengths<T>): T {
  return isLong ? long : gate
}
