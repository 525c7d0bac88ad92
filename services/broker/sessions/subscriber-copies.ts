import type { Backpressure } from '../telemetry/backpressure.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Copy } from '../cluster/copies.ts'
import type { Tally } from '../metrics.ts'
import type { BatchObserver } from '../telemetry/forwarder.ts'
import type { SubscriptionInterest } from '../telemetry/subscription-interest.ts'
import type { SharedGroups } from '../telemetry/shared-groups.ts'
import type { Sessions } from './sessions.ts'

export interface CopierOptions {
  readonly interest: SubscriptionInterest
  readonly backpressure: Pick<Backpressure, 'shedsQos0'>
  readonly tally: Tally
  readonly groups: Pick<SharedGroups, 'size'>
  readonly sessions: Pick<Sessions, 'copy' | 'sharing'>
  readonly cluster: Pick<Cluster, 'peers' | 'sendCopies'> | undefined
}

/**
 * Hands telemetry that is in the log to its subscribers, here and on the nodes that have some. Without subscribers: two
 * comparisons for each batch. Under load it is the first to be dropped.
 */
export function createCopier(options: CopierOptions): BatchObserver {
  const { interest, groups, backpressure, tally, sessions, cluster } = options
  return ({ records, topics }) => {
    const elsewhere = cluster?.peers.wantsTelemetry === true
    if (interest.isNone && !elsewhere && groups.size === 0) return
    const sheds = backpressure.shedsQos0
    for (const [index, record] of interest.isNone ? [] : records.entries()) {
      const topic = topics[index] ?? ''
      if (!interest.matches(topic)) continue
      if (sheds) tally.copiesNodeFull += 1
      else sessions.copy(topic, record.value)
    }
    if (!elsewhere && groups.size === 0) return
    const copies: Copy[] = records.map(({ value }, index) => ({ topic: topics[index] ?? '', payload: value }))
    if (sheds) tally.copiesNodeFull += copies.length
    else {
      tally.copies += sessions.sharing.copy(copies)
      if (elsewhere) tally.copies += cluster.sendCopies(copies)
    }
  }
}
