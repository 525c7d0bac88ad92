import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import { startAll, type Servers } from '../../servers/all.ts'
import { randomFrom, simulate, type Verdict } from '../kill-in-mid-load.ts'
import { Cluster, type ClusterPlan } from './cluster.ts'

/** `npm run test:faults`: more seeds, more messages, longer outages. */
export const FULL = process.env['SLUICE_FAULTS'] === 'full'
export const SEEDS = FULL ? Array.from({ length: 20 }, (_, index) => index + 1) : [1]
const MESSAGES = FULL ? 50_000 : 20_000
const RATE = 2_000
const DEVICES = 20

/** A scenario takes as long as its load and its fault; the fault suite has longer ones. */
export const LIMIT_MS = FULL ? 600_000 : 240_000

/** Real servers for all tests of a file, which start before the first and go behind the last. */
export function useServers(brokers: 1 | 3 = 1): { readonly servers: Servers; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  let servers: Servers | undefined
  beforeAll(async () => {
    servers = await startAll(folder, { brokers })
  })
  afterAll(async () => {
    await servers?.stop()
    if (process.env['SLUICE_KEEP'] === undefined) rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    get servers() {
      if (servers === undefined) throw new Error('the servers have not started')
      return servers
    },
  }
}

export interface Scenario extends Partial<Pick<ClusterPlan, 'workers' | 'workerCommand' | 'workerEnv'>> {
  readonly name: string
  readonly seed: number
  /** Readings per second: less where the fault is long. */
  readonly rate?: number
  /** Known-wrong variants need not wait long for what never comes. */
  readonly patienceSeconds?: number
  /** Resolves when the fault has ended. */
  readonly fault: (cluster: Cluster, random: () => number) => Promise<void>
  /** When everything sent was looked up, before the latest state is. */
  readonly afterwards?: (cluster: Cluster) => Promise<void>
}

export interface Outcome extends Verdict {
  readonly outOfOrder: number
  readonly unexpected: number
  /** From the end of the fault until every device's readings from behind it can be queried. */
  readonly recoverySeconds: number
  readonly deadLetters: number
  /** Devices whose latest state is not their newest reading. */
  readonly stale: readonly string[]
}

/** Runs the fault under load, sends on until there were enough messages, waits for everything, and looks at every effect. */
export async function runScenario(
  { servers, folder }: { readonly servers: Servers; readonly folder: string },
  scenario: Scenario,
): Promise<Outcome> {
  const { name, seed, rate = RATE, workers = 2, patienceSeconds = 60, fault, afterwards, ...variant } = scenario
  const cluster = new Cluster({ workers, folder: join(folder, 'services'), env: servers.env, ...variant })
  onTestFinished(() => cluster.close())
  await cluster.start()
  const tenant = `t${Date.now().toString(36)}`
  const simulation = simulate({ url: cluster.url, token: cluster.token, folder }, [
    ...['--mqtt', cluster.mqtt, '--tenant', tenant, '--devices', String(DEVICES), '--rate', String(rate)],
    ...['--duration', '1h', '--inflight', '64', '--seed', String(seed), '--verify', '--keep'],
    ...['--patience', `${patienceSeconds}s`],
  ])
  const failed = simulation.verdict.then(() => {
    throw new Error('the simulator ended before the fault did')
  })
  // Later it ends as it should, and nobody waits for this any more.
  void Promise.allSettled([failed])
  await simulation.sending
  await Promise.race([fault(cluster, randomFrom(seed)), failed])
  const recoverySeconds = await Promise.race([recovery(cluster, tenant), failed])
  while (simulation.sent() < MESSAGES) await Promise.race([delay(250), failed])
  simulation.stopSending()
  const verdict = (await simulation.verdict) as Verdict & Pick<Outcome, 'outOfOrder' | 'unexpected'>
  const { deadLetters } = await cluster.get<{ deadLetters: unknown[] }>(`/v1/dead-letters?tenant=${tenant}&limit=100`)
  await afterwards?.(cluster)
  const stale = await staleDevices(cluster, tenant)
  const outcome = { ...verdict, recoverySeconds, deadLetters: deadLetters.length, stale }
  const { sent, acked, lost, duplicated, wrong } = outcome
  const shown = [name, seed, sent, acked, lost, duplicated, wrong, stale.length, `${recoverySeconds.toFixed(1)} s`]
  process.stdout.write(`| ${shown.join(' | ')} |\n`)
  return outcome
}

/** Every acknowledged reading is stored once, in order, as it was sent; nothing else is; latest state is the newest. */
export function expectKept(outcome: Outcome): void {
  const { lost, duplicated, wrong, unexpected, outOfOrder, deadLetters, stale } = outcome
  expect({ lost, duplicated, wrong, unexpected, outOfOrder, deadLetters, stale }).toEqual({
    ...{ lost: 0, duplicated: 0, wrong: 0, unexpected: 0, outOfOrder: 0, deadLetters: 0, stale: [] },
  })
  expect(outcome.acked).toBeGreaterThanOrEqual(MESSAGES)
  expect(outcome.stored).toBe(outcome.acked)
}

/** The moment of a fault is what the seed decides: between 0.5 and 1.5 times so long. */
export function someTime(random: () => number, aboutMs: number): Promise<void> {
  return delay(aboutMs * (0.5 + random()))
}

async function recovery(cluster: Cluster, tenant: string): Promise<number> {
  const ended = Date.now()
  const names = await devicesOf(cluster, tenant)
  for (const device of names) {
    const path = `/v1/devices/${tenant}/${device}/readings?limit=1&from=${ended}`
    const isBack = async () => {
      const answer = await cluster.getIfThere<{ series: unknown[] }>(path)
      return answer !== undefined && answer.series.length > 0
    }
    while (!(await isBack())) await delay(50)
  }
  return (Date.now() - ended) / 1000
}

async function devicesOf(cluster: Cluster, tenant: string): Promise<string[]> {
  const path = `/v1/devices?tenant=${tenant}&limit=100`
  type Answer = { devices: { device: string }[] }
  for (;;) {
    // Whatever the fault was, the API may need a moment.
    const answer = await cluster.getIfThere<Answer>(path)
    if (answer !== undefined) return answer.devices.map(({ device }) => device)
    await delay(100)
  }
}

/** Latest state is flushed behind the points, at the next checkpoint. */
const STALE_LIMIT_MS = 15_000

async function staleDevices(cluster: Cluster, tenant: string): Promise<string[]> {
  const limit = Date.now() + STALE_LIMIT_MS
  let stale = await devicesOf(cluster, tenant)
  for (;;) {
    const checked = await Promise.all(stale.map(async (device) => !(await isNewest(cluster, `${tenant}/${device}`))))
    stale = stale.filter((_, index) => checked[index])
    if (stale.length === 0 || Date.now() > limit) return stale
    await delay(500)
  }
}

interface Readings {
  readonly series: readonly { readonly field: string; readonly points: readonly (readonly [number, unknown])[] }[]
  readonly next: string | null
}

interface Latest {
  readonly streams: readonly { readonly fields: Readonly<Record<string, { time: number; value: unknown }>> }[]
}

async function isNewest(cluster: Cluster, device: string): Promise<boolean> {
  const newest = new Map<string, readonly [number, unknown]>()
  let cursor = ''
  for (;;) {
    const page = await cluster.get<Readings>(`/v1/devices/${device}/readings?epoch=us&limit=10000${cursor}`)
    for (const { field, points } of page.series) {
      const last = points.at(-1)
      if (last !== undefined && last[0] >= (newest.get(field)?.[0] ?? 0)) newest.set(field, last)
    }
    if (page.next === null) break
    cursor = `&cursor=${encodeURIComponent(page.next)}`
  }
  const { streams } = await cluster.get<Latest>(`/v1/devices/${device}/latest?epoch=us`)
  const latest = Object.assign({}, ...streams.map(({ fields }) => fields)) as Latest['streams'][number]['fields']
  return [...newest].every(([field, [time, value]]) => latest[field]?.time === time && latest[field].value === value)
}
