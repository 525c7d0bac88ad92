import { expect, it } from 'vitest'
import { LimitReports, noticeOf, type LimitHit } from '../../../../../services/broker/access/limit-reports.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import type { Principal } from '../../../../../shared/registry/port.ts'

const START = Date.UTC(2026, 0, 1)

function device(name: string): Principal {
  return { kind: 'device', name: `a/${name}`, tenant: 'a', device: name, uid: name }
}

function open() {
  const clock = { ms: START }
  const told: string[] = []
  const metrics = createMetrics({ defaults: false })
  const notify = (who: Principal, hit: LimitHit) => void told.push(`${who.name} ${noticeOf(hit).toString()}`)
  const reports = new LimitReports({ metrics, notify, now: () => clock.ms })
  const count = async (name: string) => (await metrics.getSingleMetric(name)?.get())?.values
  return { reports, clock, told, count }
}

it('a device is told once a minute what acts on it, and since when', async () => {
  const { reports, clock, told, count } = open()
  for (let second = 0; second < 130; second += 1, clock.ms += 1_000) reports.acted(device('1'), 'message_rate', 10)
  const notice = '{"code":"message_rate","limit":10,"since":"2026-01-01T00:00:00.000Z"}'
  expect(told).toEqual([`a/1 ${notice}`, `a/1 ${notice}`, `a/1 ${notice}`])
  expect(await count('sluice_broker_limits_total')).toContainEqual({ labels: { limit: 'message_rate' }, value: 130 })
})

it('a limit that was quiet for a minute begins anew', () => {
  const { reports, clock } = open()
  reports.acted(device('1'), 'subscriptions', 100)
  clock.ms += 60_000
  reports.acted(device('1'), 'subscriptions', 100)
  reports.acted(device('1'), 'subscriptions', 100)
  const [, second] = reports.takeChanged()
  expect(second).toMatchObject({ who: 'a/1', sinceMs: START + 60_000, lastMs: START + 60_000, count: 2 })
})

it('what changed is taken once', () => {
  const { reports } = open()
  reports.acted(device('1'), 'topic', 512)
  reports.acted(device('2'), 'topic', 512)
  expect(reports.takeChanged().map(({ who }) => who)).toEqual(['a/1', 'a/2'])
  expect(reports.takeChanged()).toEqual([])
  reports.acted(device('2'), 'topic', 512)
  expect(reports.takeChanged()).toMatchObject([{ who: 'a/2', count: 2 }])
})

it('applications are counted and not told; a node tells a hundred a second at most', async () => {
  const { reports, clock, told, count } = open()
  reports.acted({ kind: 'application', name: 'app', rules: [] }, 'in_flight', 64)
  expect(told).toEqual([])
  for (let index = 0; index < 250; index += 1) reports.acted(device(String(index)), 'byte_rate', 1)
  expect(told).toHaveLength(100)
  expect(await count('sluice_broker_limit_notices_dropped_total')).toMatchObject([{ value: 150 }])
  clock.ms += 1_000
  reports.acted(device('x'), 'byte_rate', 1)
  expect(told).toHaveLength(101)
})

it('ten thousand hits are remembered, the oldest go', async () => {
  const { reports, count } = open()
  for (let index = 0; index < 10_500; index += 1) reports.acted(device(String(index)), 'byte_rate', 1)
  expect(await count('sluice_broker_limit_hits')).toMatchObject([{ value: 10_000 }])
  const taken = reports.takeChanged()
  expect([taken.length, taken[0]?.who]).toEqual([10_000, 'a/500'])
})
