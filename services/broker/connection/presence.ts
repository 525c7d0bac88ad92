import { Counter } from 'prom-client'
import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { Releasers } from '../../../shared/process/releasers.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import {
  NODE_LOST,
  type DeviceLimitRecord,
  type Presence,
  type PresenceRecord,
} from '../../../shared/registry/presence-port.ts'
import { prefixOf } from '../../../shared/sessions/client-id.ts'
import { HEARD_QUESTION, type SessionName } from '../../../shared/commands.ts'
import { deviceKey, parseDeviceKey } from '../../../shared/topics.ts'
import type { LimitHit } from '../access/limit-reports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { Reason } from '../mqtt/v5/reason.ts'

/** Why a connection ended, as it is written down. */
export type EndReason =
  'disconnect' | 'closed' | 'keepalive' | 'takeover' | 'revoked' | 'protocol_error' | 'shutdown' | 'shed'

/** The reason of MQTT 5 with which a connection was closed here; without one the client ended it. */
export function endReasonOf(code: number | undefined, hasLeft: boolean): EndReason {
  switch (code) {
    case undefined:
      return hasLeft ? 'disconnect' : 'closed'
    case Reason.keepAliveTimeout:
      return 'keepalive'
    case Reason.takenOver:
      return 'takeover'
    case Reason.notAuthorised:
      return 'revoked'
    case Reason.shuttingDown:
      return 'shutdown'
    case Reason.busy:
      return 'shed'
    default:
      return 'protocol_error'
  }
}

/** A session of a device that began or ended on this node. */
export interface SessionChange {
  readonly principal: Principal
  /** As the client sent it, or was told. */
  readonly clientId: string
  /** See `PresenceRecord`. */
  readonly epoch: number
  readonly address: string
  /** Seconds since anything came of the client. */
  readonly silence: () => number
  /** Undefined: it began. */
  readonly ended: EndReason | undefined
}

export interface PresenceOptions {
  readonly presence: Presence
  readonly node: string
  readonly logger: Logger
  readonly metrics: Metrics
  /** Limits that acted since the last call. */
  readonly takeLimits: () => readonly LimitHit[]
}

/** Changes are gathered so long: a device that flaps is one row a second. */
const FLUSH_MS = 1_000
/** Changes that wait while the registry is down: every session of a large node, beginning and ending. */
const MAX_WAITING = 200_000

/**
 * Writes down which devices are connected to this node, and which limits act on them. A registry that is down costs
 * clients nothing: of each session the last change waits, and is written when it is back.
 */
export class PresenceWriter {
  readonly #options: PresenceOptions
  #waiting = new Map<string, PresenceRecord>()
  /** Sessions that last; as many as there are connections. */
  readonly #live = new Map<string, { readonly record: PresenceRecord; readonly silence: () => number }>()
  /** Nodes that are dead, and whose sessions are not ended yet. */
  readonly #lostNodes = new Set<string>()
  #limits: DeviceLimitRecord[] = []
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> = Promise.resolve()
  readonly #dropped: Counter

  constructor(options: PresenceOptions) {
    this.#options = options
    gaugeOf(
      options.metrics,
      'sluice_broker_presence_waiting',
      'Sessions whose start or end is not recorded yet',
      () => this.#waiting.size,
    )
    this.#dropped = new Counter({
      name: 'sluice_broker_presence_dropped_total',
      help: 'Session starts and ends not recorded, because too many were waiting',
      registers: [options.metrics],
    })
  }

  /** Sessions that this node had before it was started again have ended. Never rejects. */
  async start(): Promise<void> {
    const { presence, node, logger } = this.#options
    try {
      await presence.endNode(node, NODE_LOST, Date.now())
    } catch (error) {
      logger.warn({ code: toSluiceError(error).code }, 'the sessions of the last run could not be recorded as ended')
    }
    this.#timer = setInterval(() => void this.flush(), FLUSH_MS)
  }

  note({ principal, clientId, epoch, address, silence, ended }: SessionChange): void {
    if (principal.kind !== 'device') return
    const { tenant, device } = principal
    const key = prefixOf(principal.name) + clientId
    const known = this.#waiting.get(key)
    // The end of a session that was taken over comes after the beginning of the one that took it.
    if (known !== undefined && epoch !== 0 && epoch < known.epoch) return
    const connected = ended === undefined
    const at = { node: this.#options.node, sinceMs: connected ? Date.now() : heardMs(silence), address }
    const record = { tenant, device, clientId, epoch, connected, ...at, reason: ended }
    if (connected) this.#live.set(key, { record, silence })
    else if (this.#live.get(key)?.record.epoch === epoch) this.#live.delete(key)
    this.#put(key, record)
  }

  /** The sessions of a node that is dead have ended. */
  lose(node: string): void {
    this.#lostNodes.add(node)
  }

  /** All sessions of this node are written again: another one may have taken it for dead. */
  repeat(): void {
    for (const [key, { record }] of this.#live) this.#put(key, record)
  }

  /** When each of the sessions was last heard, on the wall clock; null for one that is none of this node any more. */
  heard(sessions: readonly SessionName[]): (number | null)[] {
    return sessions.map(({ tenant, device, clientId }) => {
      const live = this.#live.get(prefixOf(deviceKey(tenant, device)) + clientId)
      return live === undefined ? null : heardMs(live.silence)
    })
  }

  /** Writes what waits; what could not be written waits on. Never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush())
    return this.#flushing
  }

  /** Writes what waits, once more. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  #put(key: string, record: PresenceRecord): void {
    if (this.#waiting.size < MAX_WAITING || this.#waiting.has(key)) this.#waiting.set(key, record)
    else this.#dropped.inc()
  }

  async #flush(): Promise<void> {
    const { presence, logger, takeLimits } = this.#options
    this.#limits.push(...takeLimits().flatMap(limitRecord))
    const changes = this.#waiting
    this.#waiting = new Map()
    try {
      for (const node of this.#lostNodes) {
        await presence.endNode(node, NODE_LOST, Date.now())
        this.#lostNodes.delete(node)
      }
      if (changes.size > 0) await presence.record([...changes.values()])
      changes.clear()
      if (this.#limits.length > 0) await presence.recordLimits(this.#limits)
      this.#limits = []
    } catch (error) {
      // Newer changes of the same session stand.
      this.#waiting = new Map([...changes, ...this.#waiting])
      // A hit that still acts comes again; those of an outage are in the metrics.
      this.#limits = this.#limits.slice(-MAX_LIMITS)
      logger.debug({ code: toSluiceError(error).code }, 'session starts and ends are not recorded yet')
    }
  }
}

/** Writes down who is connected here, and hears from the cluster whose sessions ended elsewhere. */
export async function openPresence(
  options: PresenceOptions,
  cluster: Cluster | undefined,
  releasers: Releasers,
): Promise<PresenceWriter> {
  const presence = new PresenceWriter(options)
  releasers.own('presence', presence, (it) => it.close())
  await presence.start()
  if (cluster !== undefined) {
    cluster.mesh.onQuestion(HEARD_QUESTION, (body) => {
      const asked = JSON.parse(body.toString()) as SessionName[] // of broker-nodes.ts
      return Buffer.from(JSON.stringify(presence.heard(asked)))
    })
    cluster.observer = { onBuried: (lost) => presence.lose(lost), onConfirmed: () => presence.repeat() }
  }
  return presence
}

/** The number of the session that a connection has just taken; see `PresenceRecord`. */
export function epochsOf(cluster: Cluster | undefined): (clientId: string) => number {
  if (cluster === undefined) return localEpochs()
  // 0 for a session that began while Redis was unreachable.
  return (clientId) => Number(cluster.fence.leaseOf(clientId)?.epoch ?? 0)
}

/** Greater than all of earlier runs, as long as the clock is not set back by more than the process lived. */
function localEpochs(): () => number {
  let last = Date.now() * 1_000
  return () => (last += 1)
}

/** By the clock now, whatever it was set to since. */
function heardMs(silence: () => number): number {
  return Date.now() - silence() * 1_000
}

const MAX_LIMITS = 1_000

function limitRecord({ who, ...hit }: LimitHit): DeviceLimitRecord[] {
  const name = parseDeviceKey(who)
  return name === undefined ? [] : [{ ...name, ...hit }]
}
