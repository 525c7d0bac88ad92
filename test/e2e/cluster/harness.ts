import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFailed, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { startAll, type Servers } from '../../../load-tests/servers/all.ts'
import { randomFrom, simulate, type Verdict } from '../kill-in-mid-load.ts'
import { Cluster, type ClusterPlan } from '../../../load-tests/cluster/cluster.ts'
import { imbalance, inLog, settledFlow, untilGroupIsStable } from './conservation.ts'
import { recovery, staleDevices } from './effects.ts'
import { report } from './results.ts'
import { RoamingFleet, type RoamingVerdict } from './roaming-fleet.ts'
import type { ScenarioName } from './scenarios.ts'

/** `npm run test:faults`: more seeds, more messages. */
/** One of many seeds of a scenario, whose results are counted together. */
export const FULL = process.env['SLUICE_FAULTS'] === 'full'
const MESSAGES = FULL ? 50_000 : 20_000
const RATE = 2_000
const DEVICES = 20
/** `seq` and `value`: what the simulator sends. */
const FIELDS = 2

const PATIENCE_SECONDS = 60
const VARIANT_SEEDS = 5
/** Beside the others, in every other run. */
const ROAMING_DEVICES = 5

/** A scenario takes as long as its load and its fault; the lanes of the fault suite share a machine. */
export const LIMIT_MS = FULL ? 1_200_000 : 420_000

/** A rate at which a fault of so many seconds is over when there were enough messages. */
export const rateFor = (seconds: number) => Math.ceil(MESSAGES / seconds)

/** `SLUICE_FAULT_SEEDS=1-5`. */
function seeds(): number[] {
  const [first = 1, last = first] = (process.env['SLUICE_FAULT_SEEDS'] ?? '1').split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** One test per seed; left out when another scenario is asked for. */
export function scenario(name: ScenarioName, run: (name: ScenarioName, seed: number) => Promise<void>): void {
  const only = process.env['SLUICE_FAULT_SCENARIO'] ?? name
  describe.runIf(only === name)(name, () => {
    it.each(seeds())('seed %i', { timeout: LIMIT_MS }, (seed) => run(name, seed))
  })
}

/** The servers of a file's tests, and the processes of the test that runs. */
export class Deployment {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  #servers: Servers | undefined
  #running: { readonly name: string; readonly cluster: Cluster } | undefined

  get servers(): Servers {
    if (this.#servers === undefined) throw new Error('the servers have not started')
    return this.#servers
  }

  async start(brokers: 1 | 3): Promise<void> {
    this.#servers = await startAll(this.folder, { brokers })
  }

  /** Processes for the tests of that name, one after the other: those of the test before when it had the same. */
  async clusterFor(name: string, plan: Partial<ClusterPlan> & Pick<ClusterPlan, 'workers'>): Promise<Cluster> {
    if (this.#running?.name === name) return this.#running.cluster
    await this.discard()
    const cluster = new Cluster({ folder: join(this.folder, 'services'), env: this.servers.env, ...plan })
    this.#running = { name, cluster }
    await cluster.start()
    await untilGroupIsStable(this.servers, plan.workers)
    return cluster
  }

  /** Ends the processes: the next test has its own. */
  async discard(): Promise<void> {
    await this.#running?.cluster.close()
    this.#running = undefined
  }

  async stop(): Promise<void> {
    await this.discard()
    await this.#servers?.stop()
    if (process.env['SLUICE_KEEP'] === undefined) rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Real servers for all tests of a file, which start before the first and go behind the last. */
export function useServers(brokers: 1 | 3 = 1): Deployment {
  const deployment = new Deployment()
  beforeAll(() => deployment.start(brokers))
  afterAll(() => deployment.stop())
  return deployment
}

export interface Scenario extends Partial<
  Pick<ClusterPlan, 'brokers' | 'apis' | 'workers' | 'workerCommand' | 'workerEnv' | 'brokerCommand'>
> {
  readonly name: string
  readonly seed: number
  /** Readings per second: less where the fault is long. */
  readonly rate?: number
  readonly devices?: number
  /** Known-wrong variants need not wait long for what never comes. */
  readonly patienceSeconds?: number
  /** Kafka is what fails: what it was given may be in the log twice, and partitions change hands. */
  readonly isLogDisturbed?: boolean
  /** Resolves when the fault has ended, or has done its worst. */
  readonly fault: (cluster: Cluster, random: () => number) => Promise<void>
  /** Under load, when all readings come through again. */
  readonly recovered?: (cluster: Cluster) => Promise<void>
  /** When everything sent was looked up, before the latest state is. */
  readonly afterwards?: (cluster: Cluster) => Promise<void>
}

export interface Outcome extends Verdict {
  readonly name: string
  readonly seed: number
  readonly outOfOrder: number
  readonly unexpected: number
  /** From the end of the fault until every device's readings from behind it can be queried. */
  readonly recoverySeconds: number
  readonly deadLetters: number
  /** Devices whose latest state is not their newest reading. */
  readonly stale: readonly string[]
  /** What does not add up between the stages. */
  readonly imbalance: readonly string[]
  /** In every other run: of readings without a time, at QoS 2 on sessions that go from broker to broker. */
  readonly roaming: RoamingVerdict | undefined
}

/** Runs the fault under load, sends on until there were enough messages, waits for everything, and looks at every effect. */
export async function runScenario(deployment: Deployment, plan: Scenario): Promise<Outcome> {
  const {
    name,
    seed,
    rate = RATE,
    devices = DEVICES,
    workers = 2,
    patienceSeconds = PATIENCE_SECONDS,
    fault,
    recovered,
    afterwards,
    ...rest
  } = plan
  const { isLogDisturbed = false, ...variant } = rest
  const { servers, folder } = deployment
  // What a failed test leaves behind is nobody's.
  onTestFailed(() => deployment.discard())
  // The gate has one seed, and its time; variants need none of it.
  const hasRoaming = FULL && seed % 2 === 0 && patienceSeconds === PATIENCE_SECONDS
  const cluster = await deployment.clusterFor(name, { workers, brokers: FULL ? 2 : 1, ...variant })
  const before = await settledFlow(cluster, servers)
  const tenant = `t${Date.now().toString(36)}`
  const roaming = hasRoaming ? await startRoaming(cluster, tenant) : undefined
  const simulation = simulate({ url: cluster.url, token: cluster.token, folder }, [
    ...['--mqtt', cluster.mqtt, '--tenant', tenant, '--devices', String(devices), '--rate', String(rate)],
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
  await Promise.race([recovered?.(cluster), failed])
  // What was sent again is in the log twice.
  const enough = before.end + MESSAGES * 1.1
  while ((await inLog(servers)) < enough) await Promise.race([delay(250), failed])
  simulation.stopSending()
  await roaming?.stopSending()
  const verdict = (await simulation.verdict) as Verdict & Pick<Outcome, 'outOfOrder' | 'unexpected'>
  const { deadLetters } = await cluster.get<{ deadLetters: unknown[] }>(`/v1/dead-letters?tenant=${tenant}&limit=100`)
  await afterwards?.(cluster)
  const stale = await staleDevices(cluster, tenant)
  const flow = await settledFlow(cluster, servers)
  const roamed = await roaming?.verdict()
  const acked = verdict.acked + (roamed?.acked ?? 0)
  const missing = imbalance(before, flow, { acked, fieldsPerReading: FIELDS, isLogDisturbed })
  return {
    ...verdict,
    name,
    seed,
    recoverySeconds,
    deadLetters: deadLetters.length,
    stale,
    imbalance: missing,
    roaming: roamed,
  }
}

/** A tenant of their own: what the simulator looks at is its own. */
async function startRoaming(cluster: Cluster, tenant: string): Promise<RoamingFleet> {
  const ports = () => cluster.brokers.map(({ ready }) => ready.mqtt?.port ?? 0)
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const fleet = await RoamingFleet.start(api, { tenant: `${tenant}r`, count: ROAMING_DEVICES, ports })
  onTestFinished(() => fleet.close())
  return fleet
}

/**
 * Every acknowledged reading is stored once, in order, as it was sent; nothing else is; latest state is the newest; the
 * counters of all stages agree.
 */
export function expectKept(outcome: Outcome): void {
  const { lost, duplicated, wrong, unexpected, outOfOrder, deadLetters, stale } = outcome
  reportOutcome(outcome, false)
  expect({ lost, duplicated, wrong, unexpected, outOfOrder, deadLetters, stale }).toEqual({
    ...{ lost: 0, duplicated: 0, wrong: 0, unexpected: 0, outOfOrder: 0, deadLetters: 0, stale: [] },
  })
  expect(outcome.roaming ?? { lost: 0, wrong: 0 }).toMatchObject({ lost: 0, wrong: 0 })
  expect(outcome.imbalance).toEqual([])
  expect(outcome.acked).toBeGreaterThanOrEqual(MESSAGES)
  expect(outcome.stored).toBe(outcome.acked)
}

/**
 * The known-wrong variant lost what was acknowledged, and the ledger shows it. Whether a fault meets the moment in which a
 * variant loses is chance, so that it has some seeds to do so.
 */
export async function expectLoss(run: (seed: number) => Promise<Outcome>): Promise<void> {
  for (let seed = 1; seed <= VARIANT_SEEDS; seed += 1) {
    const outcome = await run(seed)
    reportOutcome(outcome, true)
    if (outcome.lost > 0) return
  }
  expect.fail(`the variant lost nothing with ${VARIANT_SEEDS} seeds`)
}

export function reportOutcome(outcome: Outcome, isVariant: boolean): void {
  const { name, seed, acked, lost, duplicated, wrong, unexpected, stale, recoverySeconds } = outcome
  const load = loadavg()[0] ?? 0
  const result = { scenario: name, seed, acked, lost, duplicated, recoverySeconds, isVariant, load }
  report({ ...result, wrong: wrong + unexpected + stale.length })
  if (outcome.roaming === undefined) return
  const { repeated, ...roaming } = outcome.roaming
  report({ ...result, ...roaming, scenario: `${name}, roaming, QoS 2, no time`, duplicated: repeated })
}

/** The moment of a fault is what the seed decides: between 0.5 and 1.5 times so long. */
export function someTime(random: () => number, aboutMs: number): Promise<void> {
  return delay(aboutMs * (0.5 + random()))
}
