import { describe, expect, it } from 'vitest'
import { parseTimes } from '../../../load-tests/cluster/chain-target.ts'
import type { PhaseResult } from '../../../load-tests/cluster/phase.ts'
import { CpuMeter, parseCpuSeconds } from '../../../load-tests/cluster/process-cpu.ts'
import { ownCpu, ratiosOf, reportText } from '../../../load-tests/cluster/report.ts'
import { sumOf } from '../../../load-tests/cluster/stored-points.ts'
import { VisibilityProbe } from '../../../load-tests/cluster/visibility-probe.ts'
import { generatedWorkload } from '../../../services/simulator/workload.ts'

describe('CPU of processes', () => {
  const rest = 'S 1 2 3 0 -1 4194560 100 200 0 0 150 50 25 75 20 0 11 0 99 1 2'

  it('is user and system time, with that of ended children, whatever the name of the process', () => {
    for (const name of ['node', 'a b', 'x) R 1 2', '(']) expect(parseCpuSeconds(`12 (${name}) ${rest}\n`)).toBe(3)
  })

  it('is not guessed from a text that is something else', () => {
    expect(() => parseCpuSeconds('')).toThrow('no /proc')
    expect(() => parseCpuSeconds('12 (node) S 1 2 3')).toThrow('no /proc')
  })

  it('is counted from the making of the meter, over all processes of a part', () => {
    const meter = new CpuMeter({ twice: [process.pid, process.pid], none: [] })
    const until = process.cpuUsage().user + 60_000
    while (process.cpuUsage().user < until) Math.sqrt(2)
    const { twice = 0, none } = meter.used()
    expect(twice).toBeGreaterThanOrEqual(0.1)
    expect(none).toBe(0)
  })
})

it('sums a metric over its labels, and no other of a longer name', () => {
  const text = '# HELP a_sum x\na_sum{path="/x y",id="1"} 40\na_sum{path="/z"} 2\na_sum_total 7\nb_sum 9\nc 1.5e+06\n'
  expect([sumOf(text, 'a_sum'), sumOf(text, 'b_sum'), sumOf(text, 'c'), sumOf(text, 'd')]).toEqual([42, 9, 1.5e6, 0])
})

it('reads times out of an answer of several tables', () => {
  const csv =
    ',result,table,at\r\n,_result,0,1763824500000001\r\n,_result,0,5\r\n\r\n,result,table,at\r\n,_result,1,6\r\n\r\n'
  expect(parseTimes(csv)).toEqual([1763824500000001, 5, 6])
  expect(parseTimes('\r\n')).toEqual([])
})

function phase(target: string, cpu: Record<string, number>, more: Partial<PhaseResult> = {}): PhaseResult {
  const load = { rate: 5000, inflight: 1, messages: 1000 }
  const queryableMs = { p50: target === 'chain' ? 200 : 50, p99: 400, samples: 9 }
  return { target, ...load, seconds: 1, storedPerSecond: 1000, ackMs: { p50: 1, p99: 2 }, queryableMs, cpu, ...more }
}

describe('the report', () => {
  const ours = phase('sluice', { broker: 10, workers: 14, api: 500, kafka: 70 }, { storedPerSecond: 3000 })
  const theirs = phase('chain', { mosquitto: 10, 'telegraf mqtt': 30, 'telegraf kafka': 20, kafka: 7 })

  it('compares what each side adds to Kafka and InfluxDB, for the same load', () => {
    expect([ownCpu(ours), ownCpu(theirs)]).toEqual([24, 60])
    const load = '5,000/s, 1 in flight'
    expect(ratiosOf([ours, theirs])).toEqual([{ load, cpu: 0.4, stored: 3, queryableP50: 0.25, queryableP99: 1 }])
    expect(ratiosOf([ours, { ...theirs, inflight: 16 }])).toEqual([])
    expect(ratiosOf([ours, { ...theirs, queryableMs: undefined }])[0]?.queryableP99).toBeUndefined()
  })

  it('shows a column for each part that was measured, and only tables that have rows', () => {
    const text = reportText({ phases: [ours, theirs], drains: [] })
    expect(text).toContain('telegraf kafka')
    expect(text).toContain('sluice / chain')
    expect(text).not.toContain('drain')
    const drain = { workers: 2, records: 1_000_000, seconds: 20, recordsPerSecond: 50_000, cpu: { workers: 7 } }
    expect(reportText({ phases: [], drains: [drain] })).toMatch(
      /^drain: workers.*\n2 +1,000,000 +50,000\n\nCPU-s\/M +workers/,
    )
  })
})

describe('the visibility probe', () => {
  const workload = generatedWorkload({ seed: 1, startMs: 1_000_000, stepUs: 999 })

  it('measures every reading of its devices once, also one that is seen before its acknowledgement', async () => {
    const visible: number[] = []
    const asked: number[] = []
    const read = async (device: number, from: number, to: number) => {
      asked.push(device)
      return visible.map((sequence) => workload.timeUs(sequence)).filter((time) => time >= from && time < to)
    }
    const probe = new VisibilityProbe({ devices: [3], workload, read })
    const now = performance.now()
    probe.onAcknowledged(4, 0, now)
    visible.push(1, 0)
    while (asked.length < 3) await new Promise((resolve) => setImmediate(resolve))
    for (const sequence of [0, 1, 2]) probe.onAcknowledged(3, sequence, now - 1000)
    const stopped = probe.stop()
    visible.push(2, 2)
    await stopped
    expect(probe.latency.count).toBe(3)
    expect(probe.latency.percentile(0.01)).toBeGreaterThanOrEqual(1000)
    expect(new Set(asked)).toEqual(new Set([3]))
  })

  it('fails when the question does', async () => {
    const probe = new VisibilityProbe({ devices: [0], workload, read: () => Promise.reject(new Error('away')) })
    await expect(probe.stop()).rejects.toThrow('away')
  })
})
