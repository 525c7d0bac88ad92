import { Counter, Histogram } from 'prom-client'
import { gaugeOf, OUTAGE_BUCKETS, type Metrics, SIZE_BUCKETS } from '../../shared/process/metrics.ts'
import { exposeViolations } from './violation-metrics.ts'

/** Why QoS 0 telemetry, which has no promise, or a copy for a subscriber, was dropped. */
export type ShedReason = 'node_full' | 'subscriber_slow'

/**
 * What happened to messages, as plain numbers: the hot path adds one, a scrape reads them.
 * For QoS 1 and 2: received = acked + refused + abandoned + inFlight, at any moment.
 */
export class Tally {
  /** QoS 1 and 2 PUBLISH packets received, in either lane; repeats count again. */
  received = 0
  /** Answered with PUBACK or PUBREC. */
  acked = 0
  /** Dropped with a reason and, unless REFUSED_PUBLISH=close, acknowledged. */
  refused = 0
  /** Their connection ended before they were acknowledged. */
  abandoned = 0
  inFlight = 0
  /** Of persistent sessions: repeats that were stored and were only acknowledged, or got the stamp of the first copy. */
  repeatsAcknowledged = 0
  repeatsRestamped = 0
  /** PUBRECs of such sessions whose id is not written down, and ids that were given up because there were too many. */
  unrecorded = 0
  idsGivenUp = 0
  qos0Received = 0
  qos0Shed = 0
  qos0Refused = 0
  retainIgnored = 0
  /** Telemetry copied to subscribers, and copies that were not made. */
  copies = 0
  copiesNodeFull = 0
  copiesSubscriberSlow = 0
  /** Messages for sessions that have enough, and retained messages beyond their number. */
  sessionMessagesDropped = 0
  retainedDropped = 0
  /** Sessions that were away and kept nothing, in whose place a new one of their login is. */
  sessionsReplaced = 0
  /** Clients that were let in without their will. */
  willsLeftOut = 0
  connectionsShed = 0
  keepaliveTimeouts = 0
  /** Without keepalive, and silent for longer than a keepalive may be. */
  silentConnections = 0
  takeovers = 0
  newcomersRefused = 0
  appendFailures = 0
  /** Messages of aedes that a client of MQTT 5 does not take because of their length. */
  deliveriesTooLarge = 0
  /** Messages whose expiry passed before their subscriber took them. */
  messagesExpired = 0
  /** What clients broke of the specification, by type of the packet and reason code of MQTT 5: both are few. */
  readonly violations = new Map<number, number>()

  countViolation(type: number, reason: number): void {
    const kind = (type << 8) | reason
    this.violations.set(kind, (this.violations.get(kind) ?? 0) + 1)
  }
}

/** Fields that are numbers. */
type NumberOfTally = { [K in keyof Tally]: Tally[K] extends number ? K : never }[keyof Tally]

/** What the gauges read. */
export interface Load {
  readonly tally: Tally
  readonly forwarder: { readonly records: number; readonly bytes: number; readonly appendingSince: number | undefined }
  readonly backpressure: { readonly heldBytes: number; readonly waiting: number }
  readonly repeats: { readonly ids: number; readonly recentSessions: number }
}

const COUNTERS: readonly [NumberOfTally, string, string][] = [
  ['received', 'sluice_broker_publishes_received_total', 'QoS 1 and 2 PUBLISH packets received'],
  ['acked', 'sluice_broker_publishes_acked_total', 'QoS 1 and 2 PUBLISH packets acknowledged with PUBACK or PUBREC'],
  ['refused', 'sluice_broker_publishes_refused_total', 'QoS 1 and 2 PUBLISH packets refused'],
  [
    'abandoned',
    'sluice_broker_publishes_abandoned_total',
    'QoS 1 and 2 PUBLISH packets whose connection closed before the acknowledgement',
  ],
  [
    'repeatsAcknowledged',
    'sluice_broker_repeats_acknowledged_total',
    'QoS 2 PUBLISH packets repeated on another connection of their session that were stored already',
  ],
  [
    'repeatsRestamped',
    'sluice_broker_repeats_restamped_total',
    'PUBLISH packets repeated on the next connection of their session that got the receive time of the first copy',
  ],
  [
    'unrecorded',
    'sluice_broker_qos2_unrecorded_total',
    'PUBREC packets sent although their id could not be kept with the session: a repeat may be stored twice',
  ],
  [
    'idsGivenUp',
    'sluice_broker_qos2_given_up_total',
    'Packet ids of QoS 2 dropped from a session because too many of its messages were never released',
  ],
  ['qos0Received', 'sluice_broker_qos0_received_total', 'QoS 0 PUBLISH packets received'],
  ['qos0Refused', 'sluice_broker_qos0_refused_total', 'QoS 0 PUBLISH packets refused'],
  ['retainIgnored', 'sluice_broker_retain_ignored_total', 'Telemetry messages with the RETAIN flag, which is ignored'],
  ['copies', 'sluice_broker_copies_total', 'Telemetry messages forwarded to MQTT subscribers'],
  [
    'sessionMessagesDropped',
    'sluice_broker_session_messages_dropped_total',
    'Messages dropped because the queue of their session is full',
  ],
  [
    'retainedDropped',
    'sluice_broker_retained_dropped_total',
    'Messages not retained, because the limit of retained messages is reached',
  ],
  [
    'sessionsReplaced',
    'sluice_broker_sessions_replaced_total',
    'Persistent sessions that kept nothing and made room for a new one of their login',
  ],
  [
    'willsLeftOut',
    'sluice_broker_wills_left_out_total',
    'Clients let in without their will, which may not be published',
  ],
  ['connectionsShed', 'sluice_broker_connections_shed_total', 'Connections closed because the log makes no progress'],
  [
    'newcomersRefused',
    'sluice_broker_newcomers_refused_total',
    'CONNECT packets refused with CONNACK 3 (server unavailable) because the log makes no progress',
  ],
  ['keepaliveTimeouts', 'sluice_broker_keepalive_timeouts_total', 'Connections closed by keepalive timeout'],
  ['takeovers', 'sluice_broker_takeovers_total', 'Connections closed because a newer one uses the same client id'],
  [
    'deliveriesTooLarge',
    'sluice_broker_deliveries_too_large_total',
    'Messages dropped because they exceed the Maximum Packet Size of their MQTT 5 subscriber',
  ],
  ['messagesExpired', 'sluice_broker_messages_expired_total', 'Messages that expired before they were delivered'],
  ['appendFailures', 'sluice_broker_append_failures_total', 'Appends to the log that failed and were retried'],
]

/** A batch of records that is durable, and how long that took. */
interface DurableBatch {
  readonly records: { readonly length: number }
  readonly seconds: number
}

/** Makes the broker's metrics; returns what observes a batch. */
export function exposeTally(
  load: Load,
  connections: { readonly size: number },
  metrics: Metrics,
): (batch: DurableBatch) => void {
  const { tally } = load
  for (const [field, name, help] of COUNTERS) {
    new Counter({
      name,
      help,
      registers: [metrics],
      collect() {
        this.reset()
        this.inc(tally[field])
      },
    })
  }
  exposeShed(tally, metrics)
  exposeViolations(tally.violations, metrics)
  exposeGauges(load, connections, metrics)
  const sizes = new Histogram({
    name: 'sluice_broker_batch_records',
    help: 'Records per append to the log',
    buckets: SIZE_BUCKETS,
    registers: [metrics],
  })
  const durations = new Histogram({
    name: 'sluice_broker_append_seconds',
    help: 'Time until an append was durable, retries included',
    buckets: OUTAGE_BUCKETS,
    registers: [metrics],
  })
  return ({ records, seconds }) => {
    sizes.observe(records.length)
    durations.observe(seconds)
  }
}

function exposeShed(tally: Tally, metrics: Metrics): void {
  new Counter({
    name: 'sluice_broker_shed_total',
    help: 'Messages dropped under load, by kind (QoS 0 telemetry, or copies for subscribers) and reason',
    labelNames: ['kind', 'reason'],
    registers: [metrics],
    collect() {
      this.reset()
      this.inc({ kind: 'qos0', reason: 'node_full' satisfies ShedReason }, tally.qos0Shed)
      this.inc({ kind: 'copy', reason: 'node_full' satisfies ShedReason }, tally.copiesNodeFull)
      this.inc({ kind: 'copy', reason: 'subscriber_slow' satisfies ShedReason }, tally.copiesSubscriberSlow)
    },
  })
}

function exposeGauges(
  { tally, forwarder, backpressure, repeats }: Load,
  connections: { readonly size: number },
  metrics: Metrics,
): void {
  const all: [string, string, () => number][] = [
    ['sluice_broker_in_flight', 'QoS 1 and 2 PUBLISH packets not yet acknowledged', () => tally.inFlight],
    [
      'sluice_broker_qos2_open_ids',
      'Packet ids of QoS 2 telemetry kept with the persistent sessions of connected clients',
      () => repeats.ids,
    ],
    [
      'sluice_broker_recent_sessions',
      'Persistent sessions without connection whose last messages are remembered',
      () => repeats.recentSessions,
    ],
    ['sluice_broker_connections', 'Open MQTT connections', () => connections.size],
    [
      'sluice_broker_silent_connections',
      'Connections without keepalive that are silent for longer than MAX_KEEPALIVE_SECONDS',
      () => tally.silentConnections,
    ],
    [
      'sluice_broker_oldest_unacknowledged_seconds',
      'Time that the oldest append to the log has been under way, whose messages have no acknowledgement yet',
      () => (forwarder.appendingSince === undefined ? 0 : (performance.now() - forwarder.appendingSince) / 1000),
    ],
    ['sluice_broker_queued_records', 'Records queued for the log', () => forwarder.records],
    ['sluice_broker_queued_bytes', 'Payload bytes queued for the log', () => forwarder.bytes],
    ['sluice_broker_held_bytes', 'Bytes received that wait for room in the log queue', () => backpressure.heldBytes],
    [
      'sluice_broker_waiting_connections',
      'Connections not being read because the node is full',
      () => backpressure.waiting,
    ],
  ]
  for (const [name, help, read] of all) {
    gaugeOf(metrics, name, help, read)
  }
}
