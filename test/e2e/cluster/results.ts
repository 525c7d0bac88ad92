import { appendFileSync } from 'node:fs'
import { isBusy } from '../../patience.ts'

/** What one scenario with one seed came to; a line of JSON in the file that `SLUICE_FAULT_RESULTS` names. */
export interface Result {
  readonly scenario: string
  readonly seed: number
  readonly acked: number
  readonly lost: number
  readonly duplicated: number
  /** Readings with another value than was sent, or that were never sent; latest states that are not the newest. */
  readonly wrong: number
  readonly recoverySeconds: number
  /** Known-wrong variants must lose: they are no scenario. */
  readonly isVariant: boolean
  /** Load average of the machine at the end of it. */
  readonly load: number
}

/** Prints the result as a row of a table, and keeps it for the table at the end. */
export function report(result: Result): void {
  const { scenario, seed, acked, lost, duplicated, wrong, recoverySeconds } = result
  const row = [scenario, `seed ${seed}`, `acked ${acked}`, `lost ${lost}`, `duplicated ${duplicated}`, `wrong ${wrong}`]
  process.stdout.write(`| ${[...row, `back in ${recoverySeconds.toFixed(1)} s`].join(' | ')} |\n`)
  const file = process.env['SLUICE_FAULT_RESULTS']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(result)}\n`)
}

/**
 * A table in Markdown; of a seed that ran again the last run counts. Recovery is that of the seeds which had the machine
 * to themselves.
 */
export function tableOf(results: readonly Result[], isVariant = false): string {
  const last = new Map(results.map((result) => [`${result.scenario} ${result.seed}`, result]))
  const rows = Map.groupBy(
    [...last.values()].filter((result) => result.isVariant === isVariant),
    ({ scenario }) => scenario,
  )
  const cells = Array.from(rows, ([scenario, all]) => {
    const sum = (count: (result: Result) => number) => all.reduce((total, result) => total + count(result), 0)
    const quiet = all.filter(({ load }) => !isBusy(load))
    const times = quiet.map(({ recoverySeconds }) => recoverySeconds).toSorted((a, b) => a - b)
    const [p50, max] = [times[Math.floor((times.length - 1) / 2)], times.at(-1)]
    return [
      ...[scenario, all.length, sum(({ acked }) => acked), sum(({ lost }) => lost)],
      ...[sum(({ duplicated }) => duplicated), sum(({ wrong }) => wrong)],
      p50 === undefined || max === undefined ? 'busy' : `${p50.toFixed(1)} / ${max.toFixed(1)} s (${times.length})`,
    ]
  })
  const head = ['scenario', 'seeds', 'acked', 'lost', 'duplicated', 'wrong', 'recovery p50 / max (seeds)']
  return [head, head.map(() => '---'), ...cells].map((row) => `| ${row.join(' | ')} |`).join('\n')
}
