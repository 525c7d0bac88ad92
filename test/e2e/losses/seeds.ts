/** `SLUICE_FAULT_SEEDS=1-5`; 20 by default. */
export function seeds(): number[] {
  const [first = 1, last = first] = (process.env['SLUICE_FAULT_SEEDS'] ?? '1-20').split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
