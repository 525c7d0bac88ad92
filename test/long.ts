const isLong = process.env['SLUICE_LONG'] === '1'

/** Milliseconds that a fault lasts. */
interface Lengths {
  /** In every run: longer than what the fault is about, and no more. */
  readonly gate: number
  /** With `SLUICE_LONG=1`: what the published figures were measured with. */
  readonly long: number
}

/** How long a fault lasts in this run. What a test states holds for both; only the time differs. */
export function lasting({ gate, long }: Lengths): number {
  return isLong ? long : gate
}
