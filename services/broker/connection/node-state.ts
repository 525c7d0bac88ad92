import type { BrokerSettings } from '../../../config/broker.ts'
import type { Releasers } from '../../../shared/process/releasers.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { Rates } from '../access/rates.ts'
import { LimitReports, noticeOf } from '../access/limit-reports.ts'
import { PresenceWriter } from './presence.ts'
import type { Sessions } from '../sessions/sessions.ts'

/** Who is connected and how much each may do, as all connections of a node share it. */
export interface Attendance {
  /** The name of this node. */
  readonly node: string
  readonly rates: Rates
  readonly limits: LimitReports
  readonly presence: PresenceWriter
  /** The number of the session that a connection has just taken; see `PresenceRecord`. */
  readonly epochOf: (clientId: string) => number
}

export interface AttendanceOptions {
  readonly registry: Pick<Registry, 'presence'>
  readonly sessions: Pick<Sessions, 'tell'>
  readonly cluster: Cluster | undefined
  readonly settings: BrokerSettings
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The only node, in the registry. */
const STANDALONE = 'standalone'

export async function openAttendance(options: AttendanceOptions, releasers: Releasers): Promise<Attendance> {
  const { registry, sessions, cluster, settings, logger, metrics } = options
  const node = cluster?.id ?? STANDALONE
  const rates = releasers.own('rates', new Rates(settings), (it) => it.close())
  const limits = new LimitReports({
    metrics,
    notify: (device, hit) => sessions.tell(`t/${device.name}/notice`, noticeOf(hit)),
  })
  const presence = new PresenceWriter({
    presence: registry.presence,
    node,
    takeLimits: () => limits.takeChanged(),
    logger,
    metrics,
  })
  releasers.own('presence', presence, (it) => it.close())
  await presence.start()
  if (cluster !== undefined) {
    cluster.observer = { onBuried: (lost) => presence.lose(lost), onConfirmed: () => presence.repeat() }
  }
  return {
    node,
    rates,
    limits,
    presence,
    epochOf: cluster === undefined ? localEpochs() : (id) => epochIn(cluster, id),
  }
}

/** Greater than all of earlier runs, as long as the clock is not set back by more than the process lived. */
function localEpochs(): () => number {
  let last = Date.now() * 1_000
  return () => (last += 1)
}

/** 0 for a session that began while Redis was away. */
function epochIn({ fence }: Cluster, clientId: string): number {
  return Number(fence.leaseOf(clientId)?.epoch ?? 0)
}
