import { textTable } from '../../shared/text-table.ts'
import type { DrainResult } from './drain.ts'
import type { PhaseResult } from './phase.ts'

export interface Results {
  readonly phases: readonly PhaseResult[]
  readonly drains: readonly DrainResult[]
}

/** One load on Sluice against the same load on the chain. */
export interface Ratio {
  readonly load: string
  /** CPU of broker and workers by that of Mosquitto and both Telegrafs. */
  readonly cpu: number
  readonly stored: number
  readonly queryableP50: number | undefined
  readonly queryableP99: number | undefined
}

/** The processes that somebody runs for the way into the store; Kafka and InfluxDB are the same on both sides. */
const OWN_PARTS: Readonly<Record<string, readonly string[]>> = {
  sluice: ['broker', 'workers'],
  chain: ['mosquitto', 'telegraf mqtt', 'telegraf kafka'],
}

/** CPU-seconds per million messages of the processes that make the difference. */
export function ownCpu({ target, cpu }: PhaseResult): number {
  return (OWN_PARTS[target] ?? []).reduce((sum, part) => sum + (cpu[part] ?? 0), 0)
}

export function ratiosOf(phases: readonly PhaseResult[]): Ratio[] {
  return phases.flatMap((ours) => {
    if (ours.target !== 'sluice') return []
    const theirs = phases.find((one) => one.target === 'chain' && loadName(one) === loadName(ours))
    if (theirs === undefined) return []
    const part = (of: 'p50' | 'p99') =>
      ours.queryableMs && theirs.queryableMs && ours.queryableMs[of] / theirs.queryableMs[of]
    return {
      load: loadName(ours),
      cpu: ownCpu(ours) / ownCpu(theirs),
      stored: ours.storedPerSecond / theirs.storedPerSecond,
      queryableP50: part('p50'),
      queryableP99: part('p99'),
    }
  })
}

export function reportText({ phases, drains }: Results): string {
  const parts = [...new Set([...phases, ...drains].flatMap(({ cpu }) => Object.keys(cpu)))]
  const tables: string[] = []
  if (phases.length > 0) {
    const head = ['', 'load', 'stored/s', 'ack p50 / p99 ms', 'queryable p50 / p99 ms', 'own CPU-s/M']
    tables.push(textTable(head, phases.map(phaseRow)))
    tables.push(
      cpuTable(
        parts,
        phases.map((phase) => [`${phase.target}, ${loadName(phase)}`, phase.cpu]),
      ),
    )
  }
  const ratios = ratiosOf(phases)
  if (ratios.length > 0) {
    const head = ['sluice / chain', 'CPU', 'stored/s', 'queryable p50', 'queryable p99']
    tables.push(textTable(head, ratios.map(ratioRow)))
  }
  if (drains.length > 0) {
    const rows = drains.map(({ workers, records, recordsPerSecond }) => [
      String(workers),
      whole(records),
      whole(recordsPerSecond),
    ])
    tables.push(textTable(['drain: workers', 'records', 'records/s'], rows))
    tables.push(
      cpuTable(
        parts,
        drains.map(({ workers, cpu }) => [`drain, ${workers} worker(s)`, cpu]),
      ),
    )
  }
  return tables.join('\n\n')
}

export function loadName({ rate, inflight }: { rate: number; inflight: number }): string {
  return `${rate === 0 ? 'no limit' : `${whole(rate)}/s`}, ${inflight} in flight`
}

function phaseRow(phase: PhaseResult): string[] {
  const { ackMs, queryableMs } = phase
  return [
    phase.target,
    loadName(phase),
    whole(phase.storedPerSecond),
    `${one(ackMs.p50)} / ${one(ackMs.p99)}`,
    queryableMs === undefined ? '' : `${whole(queryableMs.p50)} / ${whole(queryableMs.p99)} (${queryableMs.samples})`,
    one(ownCpu(phase)),
  ]
}

function ratioRow({ load, cpu, stored, queryableP50, queryableP99 }: Ratio): string[] {
  const text = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2))
  return [load, text(cpu), text(stored), text(queryableP50), text(queryableP99)]
}

function cpuTable(parts: readonly string[], rows: readonly (readonly [string, PhaseResult['cpu']])[]): string {
  const used = parts.filter((part) => rows.some(([, cpu]) => cpu[part] !== undefined))
  const cell = (value: number | undefined) => (value === undefined ? '' : one(value))
  return textTable(
    ['CPU-s/M', ...used],
    rows.map(([name, cpu]) => [name, ...used.map((part) => cell(cpu[part]))]),
  )
}

function one(value: number): string {
  return value.toFixed(1)
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
