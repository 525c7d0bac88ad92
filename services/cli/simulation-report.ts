import type { LatencyHistogram } from './latency-histogram.ts'
import type { LoadDevice, LoadRun } from './load-run.ts'
import type { QueryableSampler } from './queryable-sampler.ts'
import type { SimulationOptions } from './simulation.ts'
import { isClean, MAX_DIFFERENCES, type Verdict } from './verification.ts'

export interface Latencies {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What a simulation found; what `simulate --json` prints. */
export interface SimulationReport {
  readonly ok: boolean
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
  readonly behind: number
  readonly ratePerSecond: number
  readonly ackLatency: Latencies
  readonly queryableLatency: Latencies
  /** Undefined without `--verify`. */
  readonly verification?: Omit<Verdict, 'differences'> & { readonly differences: readonly NamedDifference[] }
  readonly kept: boolean
}

interface NamedDifference {
  readonly device: string
  readonly sequence: number | null
  readonly problem: string
  readonly detail: string
}

interface Findings {
  readonly options: SimulationOptions
  readonly devices: readonly LoadDevice[]
  readonly seconds: number
  readonly run: LoadRun
  readonly sampler: QueryableSampler
  readonly verdict: Verdict | undefined
  readonly kept: boolean
}

export function simulationReport(findings: Findings): SimulationReport {
  const { options, devices, seconds, run, sampler, verdict, kept } = findings
  const { sent, acknowledged, resent, connectionsLost, outOfOrder, behind } = run.stats
  return {
    ok: (verdict === undefined || isClean(verdict)) && outOfOrder === 0,
    devices: devices.length,
    firstDevice: devices[0]?.username ?? '',
    qos: options.qos,
    inflight: options.inflight,
    seconds: round(seconds, 3),
    ...{ sent, acked: acknowledged, unacknowledged: options.qos === 0 ? 0 : sent - acknowledged },
    ...{ resent, connectionsLost, outOfOrder, behind },
    ratePerSecond: round((options.qos === 0 ? sent : acknowledged) / seconds, 1),
    ackLatency: latencies(run.latency),
    queryableLatency: latencies(sampler.latency),
    ...(verdict === undefined ? {} : { verification: named(verdict, devices) }),
    kept,
  }
}

function named(verdict: Verdict, devices: readonly LoadDevice[]) {
  const differences = verdict.differences.map(({ device, sequence, problem, detail }) => {
    return { device: devices[device]?.username ?? String(device), sequence: sequence ?? null, problem, detail }
  })
  return { ...verdict, differences }
}

function latencies(histogram: LatencyHistogram): Latencies {
  const percentile = (share: number) => round(histogram.percentile(share), 3)
  const { count, max } = histogram
  return { count, p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: round(max, 3) }
}

/** The report for a person. */
export function reportText(report: SimulationReport): string {
  const { ackLatency: ack, queryableLatency: queryable, verification } = report
  const lines: [string, string][] = [
    ['sent', `${report.sent} readings from ${report.devices} devices in ${report.seconds} s`],
    ['acked', report.qos === 0 ? 'none: QoS 0 is not acknowledged' : `${report.acked} (${report.ratePerSecond}/s)`],
  ]
  if (report.unacknowledged > 0) lines.push(['not acked', `${report.unacknowledged} (nothing was promised for them)`])
  if (report.resent > 0) lines.push(['sent again', `${report.resent}`])
  if (report.connectionsLost > 0) lines.push(['reconnected', `${report.connectionsLost} times`])
  if (report.behind > 0)
    lines.push(['not sent', `${report.behind} that were due: the rate is beyond what was acknowledged`])
  if (report.outOfOrder > 0) lines.push(['out of order', `${report.outOfOrder} acknowledgements`])
  if (verification !== undefined) lines.push(...verificationLines(report.qos, verification))
  if (ack.count > 0) lines.push(['ack latency', latencyText(ack)])
  if (queryable.count > 0)
    lines.push(['queryable', `${latencyText(queryable)} after PUBLISH (${queryable.count} samples)`])
  lines.push(['devices', devicesText(report)])
  const width = Math.max(...lines.map(([name]) => name.length))
  const text = lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
  const differences = (verification?.differences ?? []).map((it) => {
    return `  ${it.problem}: ${it.device} sequence ${it.sequence ?? '?'}: ${it.detail}`
  })
  const listed = differences.length === MAX_DIFFERENCES ? [`  (the first ${MAX_DIFFERENCES} are listed)`] : []
  return [...text, ...(differences.length > 0 ? ['', 'Differences:', ...differences, ...listed] : [])].join('\n')
}

type Shown = NonNullable<SimulationReport['verification']>

function verificationLines(qos: number, verification: Shown): [string, string][] {
  const { stored, lost, duplicated, wrong, unexpected, unacknowledgedStored, unacknowledgedAbsent } = verification
  const lines: [string, string][] = [
    ['stored', qos === 0 ? `${unacknowledgedStored}` : `${stored} of the acknowledged`],
    ['lost', `${lost}`],
    ['duplicated', `${duplicated}`],
    ['wrong', `${wrong}`],
  ]
  if (unexpected > 0) lines.push(['unexpected', `${unexpected} points that were never sent`])
  if (qos === 0) return [...lines, ['not there', `${unacknowledgedAbsent} (QoS 0 has no promise)`]]
  if (unacknowledgedStored > 0) lines.push(['also stored', `${unacknowledgedStored} that were not acknowledged`])
  return lines
}

function devicesText({ kept, devices, firstDevice }: SimulationReport): string {
  if (!kept) return `removed again (--keep leaves them); their readings stay`
  return `${devices} kept, the first is ${firstDevice}`
}

function latencyText({ p50Ms, p99Ms, maxMs }: Latencies): string {
  return `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
