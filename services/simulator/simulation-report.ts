import type { LatencyHistogram } from './latency-histogram.ts'
import type { FleetDevice } from './fleet.ts'
import type { LoadRun } from './load-run.ts'
import type { QueryableSampler } from './verification/queryable-sampler.ts'
import { isClean, MAX_DIFFERENCES, type Verdict } from './verification/device-verification.ts'

export interface Latencies {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What a simulation found; what `simulate --json` prints. What `--verify` finds is null without it. */
export interface SimulationReport extends Found {
  readonly ok: boolean
  readonly verified: boolean
  readonly devices: number
  /** Where the readings are, `{tenant}/{first device}`. */
  readonly firstDevice: string
  readonly qos: number
  readonly inflight: number
  readonly seconds: number
  readonly sent: number
  readonly acked: number
  /** Sent at QoS 1 or 2 and never acknowledged; no promise was given for them. */
  readonly unacknowledged: number
  readonly resent: number
  readonly connectionsLost: number
  readonly outOfOrder: number
  /** Due by the rate and never sent. */
  readonly behind: number
  readonly ratePerSecond: number
  readonly ackLatency: Latencies
  readonly queryableLatency: Latencies
  readonly kept: boolean
  /** The first of what is lost, duplicated, wrong or unexpected. */
  readonly differences: readonly NamedDifference[]
}

type Found = { readonly [Name in Exclude<keyof Verdict, 'differences'>]: number | null }

interface NamedDifference {
  readonly device: string
  readonly sequence: number | null
  readonly problem: string
  readonly detail: string
}

interface Findings {
  readonly qos: number
  readonly inflight: number
  readonly devices: readonly FleetDevice[]
  readonly seconds: number
  readonly run: LoadRun
  readonly sampler: QueryableSampler
  readonly verdict: Verdict | undefined
  readonly kept: boolean
}

export function simulationReport(findings: Findings): SimulationReport {
  const { qos, inflight, devices, seconds, run, sampler, verdict, kept } = findings
  const { sent, acknowledged, resent, connectionsLost, outOfOrder, behind } = run.stats
  const found: Found = verdict === undefined ? NOT_VERIFIED : foundIn(verdict)
  return {
    ok: (verdict === undefined || isClean(verdict)) && outOfOrder === 0,
    verified: verdict !== undefined,
    ...{ sent, acked: acknowledged, ...found },
    unacknowledged: qos === 0 ? 0 : sent - acknowledged,
    ...{ resent, connectionsLost, outOfOrder, behind },
    ...{ devices: devices.length, firstDevice: devices[0]?.username ?? '', qos, inflight, seconds: round(seconds, 3) },
    ratePerSecond: round((qos === 0 ? sent : acknowledged) / seconds, 1),
    ackLatency: latencies(run.latency),
    queryableLatency: latencies(sampler.latency),
    kept,
    differences: (verdict?.differences ?? []).map(({ device, sequence, problem, detail }) => {
      return { device: devices[device]?.username ?? String(device), sequence: sequence ?? null, problem, detail }
    }),
  }
}

const NOT_VERIFIED: Found = {
  ...{ stored: null, lost: null, duplicated: null, wrong: null, unexpected: null },
  ...{ unacknowledgedStored: null, unacknowledgedAbsent: null },
}

function foundIn({ differences: _, ...counts }: Verdict): Found {
  return counts
}

function latencies(histogram: LatencyHistogram): Latencies {
  const percentile = (share: number) => round(histogram.percentile(share), 3)
  const { count, max } = histogram
  return { count, p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: round(max, 3) }
}

/** The report for a person. */
export function reportText(report: SimulationReport): string {
  const { ackLatency: ack, queryableLatency: queryable } = report
  const lines: [string, string][] = [
    ['sent', `${report.sent} readings from ${report.devices} devices in ${report.seconds} s`],
    ['acked', report.qos === 0 ? 'none: QoS 0 is not acknowledged' : `${report.acked} (${report.ratePerSecond}/s)`],
  ]
  if (report.unacknowledged > 0) lines.push(['not acked', `${report.unacknowledged} (not covered by the promise)`])
  if (report.resent > 0) lines.push(['sent again', `${report.resent}`])
  if (report.connectionsLost > 0) lines.push(['reconnected', `${report.connectionsLost} times`])
  if (report.behind > 0) lines.push(['not sent', `${report.behind} that were due: acknowledgements were too slow`])
  if (report.outOfOrder > 0) lines.push(['out of order', `${report.outOfOrder} acknowledgements`])
  if (report.verified) lines.push(...verifiedLines(report))
  if (ack.count > 0) lines.push(['ack latency', latencyText(ack)])
  if (queryable.count > 0) {
    lines.push(['queryable', `${latencyText(queryable)} after PUBLISH (${queryable.count} samples)`])
  }
  lines.push(['devices', devicesText(report)])
  const width = Math.max(...lines.map(([name]) => name.length))
  const text = lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
  return [...text, ...differenceLines(report)].join('\n')
}

function verifiedLines(report: SimulationReport): [string, string][] {
  const { qos, stored, lost, duplicated, wrong, unexpected, unacknowledgedStored, unacknowledgedAbsent } = report
  const lines: [string, string][] = [
    ['stored', qos === 0 ? `${unacknowledgedStored}` : `${stored} of the acknowledged`],
    ['lost', `${lost}`],
    ['duplicated', `${duplicated}`],
    ['wrong', `${wrong}`],
  ]
  if ((unexpected ?? 0) > 0) lines.push(['unexpected', `${unexpected} points never sent`])
  if (qos === 0) return [...lines, ['not stored', `${unacknowledgedAbsent} (QoS 0 is not covered by the promise)`]]
  if ((unacknowledgedStored ?? 0) > 0) lines.push(['also stored', `${unacknowledgedStored} not acknowledged`])
  return lines
}

function differenceLines({ differences }: SimulationReport): string[] {
  if (differences.length === 0) return []
  const lines = differences.map((it) => `  ${it.problem}: ${it.device} sequence ${it.sequence ?? '?'}: ${it.detail}`)
  const more = differences.length === MAX_DIFFERENCES ? [`  (the first ${MAX_DIFFERENCES} are listed)`] : []
  return ['', 'Differences:', ...lines, ...more]
}

function devicesText({ kept, devices, firstDevice }: SimulationReport): string {
  if (!kept) return 'removed after the run; use --keep to look at their readings'
  return `${devices} kept, the first is ${firstDevice}`
}

function latencyText({ p50Ms, p99Ms, maxMs }: Latencies): string {
  return `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
