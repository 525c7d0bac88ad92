import { readFileSync } from 'node:fs'

/** Clock ticks per second of /proc, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Processes by the part of a system that they are. */
export type Parts = Readonly<Record<string, readonly number[]>>

/**
 * Seconds of user and system time of a process, with those of its children that have ended, from the text of
 * `/proc/<pid>/stat` (proc(5): fields 14 to 17). The name, field 2, may contain spaces and brackets.
 */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).map(Number)
  const sum = ticks.reduce((total, value) => total + value, 0)
  if (ticks.length < 4 || !Number.isFinite(sum)) throw new Error(`this is no /proc/<pid>/stat: ${stat}`)
  return sum / TICKS_PER_SECOND
}

/** CPU time that the parts use from now on; the processes must live as long as it is asked. */
export class CpuMeter {
  readonly #parts: Parts
  readonly #before: ReadonlyMap<number, number>

  constructor(parts: Parts) {
    this.#parts = parts
    this.#before = new Map(
      Object.values(parts)
        .flat()
        .map((pid) => [pid, cpuSeconds(pid)]),
    )
  }

  /** Seconds of each part since the meter was made. */
  used(): Record<string, number> {
    const usedBy = (pid: number) => cpuSeconds(pid) - (this.#before.get(pid) ?? 0)
    return Object.fromEntries(
      Object.entries(this.#parts).map(([name, pids]) => [name, pids.reduce((sum, pid) => sum + usedBy(pid), 0)]),
    )
  }
}

function cpuSeconds(pid: number): number {
  return parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'latin1'))
}
