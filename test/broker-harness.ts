import { pino } from 'pino'
import { expect, onTestFinished } from 'vitest'
import { brokerSettings, type BrokerSettings } from '../config/broker.ts'
import { createBroker, type Broker } from '../services/broker/broker.ts'
import type { BrokerParts } from '../services/broker/connection/broker-context.ts'
import { ReceiveClock } from '../shared/stamps/receive-clock.ts'
import { loadConfig } from '../shared/config.ts'
import { recordToDeadLetter, type DeadLetter } from '../shared/dead-letter.ts'
import type { LogTopic, TelemetryLog } from '../shared/log/port.ts'
import { createMetrics, type Metrics } from '../shared/process/metrics.ts'
import { MemoryPolicies, NO_WATCHES } from './fakes/memory-policies.ts'
import { SAME_NAMES } from '../shared/registry/names-port.ts'
import type { AclRule, Admission, ChangeListener, Principal, Registry } from '../shared/registry/port.ts'
import type { Presence } from '../shared/registry/presence-port.ts'
import type { LogRecord } from '../shared/telemetry.ts'
import { openMemorySessions } from './memory-sessions.ts'

export const quiet = pino({ level: 'silent' })

/** A log in memory that can be held, delayed and made to fail. Only what the broker calls is there. */
export class FakeLog {
  readonly records: LogRecord[] = []
  readonly letters: DeadLetter[] = []
  readonly partitions = 1
  /** Appends of telemetry that were begun. */
  appends = 0
  /** Awaited before an append of telemetry. */
  before: () => Promise<void> | undefined = () => undefined
  #held: (() => void)[] | undefined

  partitionOf(): number {
    return 0
  }

  async append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    if (topic === 'telemetry.dead-letter') {
      this.letters.push(...records.map((record) => recordToDeadLetter(record)).filter((it) => it !== undefined))
      return new Map([[0, 0]])
    }
    this.appends += 1
    const held = this.#held
    if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve))
    await this.before()
    this.records.push(...records)
    return new Map([[0, this.records.length - records.length]])
  }

  /** From now on appends wait. */
  stall(): void {
    this.#held ??= []
  }

  resume(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const release of held) release()
  }

  asPort(): TelemetryLog {
    // The broker only appends and asks for partitions; anything else is a defect of the test.
    return this as unknown as TelemetryLog
  }
}

const ENABLED = { disabled: false, endedMs: undefined }

/** Logins in memory: devices `{tenant}/{device}` with the secret `s`, and applications with theirs. */
export class FakeRegistry {
  readonly devices = new Set<string>()
  readonly applications = new Map<string, readonly AclRule[]>()
  readonly #listeners = new Set<ChangeListener>()

  readonly names = SAME_NAMES
  readonly policies = new MemoryPolicies()
  readonly watches = NO_WATCHES
  readonly presence: Presence = {
    record: async () => {},
    endNode: async () => {},
    of: async () => [],
    ofAll: async () => [],
    recordLimits: async () => {},
    limitsAfter: async () => [],
    limitsOf: async () => [],
  }

  async verifySecret(username: string, secret: string): Promise<Principal | undefined> {
    return secret === 's' ? this.#principal(username) : undefined
  }

  async verifyToken(token: string): Promise<Principal | undefined> {
    return token.startsWith('slt_') ? this.#principal(token.slice(4)) : undefined
  }

  async applicationPrincipal(name: string): Promise<Principal | undefined> {
    return this.#principal(name)
  }

  async principalNamed(name: string): Promise<Principal | undefined> {
    return this.#principal(name)
  }

  async getDevice(tenant: string, device: string) {
    const known = this.devices.has(`${tenant}/${device}`)
    return known
      ? { tenant, device, uid: device, tags: {}, createdMs: 0, lastSeenMs: undefined, login: ENABLED }
      : undefined
  }

  async getApplication(name: string) {
    const rules = this.applications.get(name)
    return rules === undefined ? undefined : { name, rules, createsDevices: false, createdMs: 0, login: ENABLED }
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  change(name: string, ended = false): void {
    for (const listener of this.#listeners) listener(name, ended)
  }

  async admitDevice(): Promise<Admission> {
    return 'unknown'
  }

  asPort(): Registry {
    // What logging in needs is there.
    return this as unknown as Registry
  }

  #principal(name: string): Principal | undefined {
    const rules = this.applications.get(name)
    if (rules !== undefined) return { kind: 'application', name, rules }
    const [tenant = '', device = ''] = name.split('/')
    return this.devices.has(name) ? { kind: 'device', name, tenant, device, uid: device } : undefined
  }
}

export const EVERYTHING: readonly AclRule[] = [
  { effect: 'allow', action: 'publish', topic: '#' },
  { effect: 'allow', action: 'subscribe', topic: '#' },
]

export interface Harness {
  readonly broker: Broker
  readonly log: FakeLog
  readonly registry: FakeRegistry
  readonly metrics: Metrics
  readonly port: number
  /** The value of a metric, summed over its labels or of the given ones. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
}

/** A broker on a free port with the devices `a/1` to `a/9` and `b/1`, and the application `app` that may do everything. */
export async function startBroker(
  settings: Partial<BrokerSettings> = {},
  parts?: BrokerParts,
  log = new FakeLog(),
): Promise<Harness> {
  const registry = new FakeRegistry()
  for (let device = 1; device < 10; device += 1) registry.devices.add(`a/${device}`)
  registry.devices.add('b/1')
  registry.applications.set('app', EVERYTHING)
  const metrics = createMetrics({ defaults: false })
  const limits = { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0, ...settings }
  const sessions = openMemorySessions(quiet, { maxSessions: limits.MAX_SESSIONS_PER_LOGIN })
  const options = {
    log: log.asPort(),
    registry: registry.asPort(),
    clock: new ReceiveClock({ id: 0, after: undefined }),
    settings: limits,
    logger: quiet,
    metrics,
    sessions,
  }
  const broker = await (parts === undefined ? createBroker(options) : createBroker(options, parts))
  onTestFinished(async () => {
    log.resume()
    await broker.close()
    await sessions.close()
    expect(await metric('sluice_broker_invariants_broken_total'), 'invariants that were broken').toBe(0)
  })
  const metric = async (name: string, labels?: Record<string, string>): Promise<number> => {
    const values = (await metrics.getSingleMetric(name)?.get())?.values ?? []
    return values
      .filter((value) => Object.entries(labels ?? {}).every(([key, text]) => value.labels[key] === text))
      .reduce((sum, { value }) => sum + value, 0)
  }
  return { broker, log, registry, metrics, port: broker.addresses.mqtt.port, metric }
}
