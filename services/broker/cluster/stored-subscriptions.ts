import type { StoredSubscription } from '../../../shared/sessions/port.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { RedisLink } from '../../../shared/mesh/redis-link.ts'
import { filterBehind } from '../../../shared/shared-subscription.ts'
import { matches } from '../../../shared/topic-filter.ts'

/**
 * Subscriptions at QoS 1 and 2 of the persistent sessions of applications, and the groups of shared subscriptions: few, and
 * known to every node. The list has a number in Redis; every PUBLISH script says which one it went by, so an old list is found out before it loses
 * something.
 */
export class StoredSubscriptions {
  readonly #link: RedisLink
  #version = '0'
  #filters: readonly { readonly clientId: string; readonly filters: readonly string[] }[] = []
  #shares: readonly { readonly share: string; readonly filter: string }[] = []
  #loading: Promise<void> | undefined

  constructor(link: RedisLink) {
    this.#link = link
  }

  get version(): string {
    return this.#version
  }

  /** Sessions that want messages of the topic. */
  sessionsFor(topic: string): string[] {
    const wanted = this.#filters.filter(({ filters }) => filters.some((filter) => matches(filter, topic)))
    return wanted.map(({ clientId }) => clientId)
  }

  /** Groups that want messages of the topic, by their share. */
  groupsFor(topic: string): string[] {
    return this.#shares.filter(({ filter }) => matches(filter, topic)).map(({ share }) => share)
  }

  /** Reads the list; once for all who ask at the same time. Error: `redis_unavailable`. */
  load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => (this.#loading = undefined))
    return this.#loading
  }

  async #read(): Promise<void> {
    const results = await this.#link.run((redis) =>
      redis.multi().get('sluice:wide:version').hgetall('sluice:wide').hkeys('sluice:groups').exec(),
    )
    const [version, all, shares] = results ?? []
    if (version?.[0] || all?.[0] || shares?.[0])
      throw new SluiceError('redis_unavailable', 'the stored subscriptions cannot be read')
    this.#version = typeof version?.[1] === 'string' ? version[1] : '0'
    this.#filters = Object.entries(all?.[1] ?? {}).map(([clientId, text]) => ({
      clientId,
      filters: filtersIn(String(text)),
    }))
    const names = Array.isArray(shares?.[1]) ? shares[1].map(String) : []
    this.#shares = names.map((share) => ({ share, filter: filterBehind(share) }))
  }
}

/** What Redis keeps of a subscription: its QoS, and the options that it has. */
export function optionsOf({ qos, nl = false, rap = false }: StoredSubscription): string {
  return [qos, ...(nl ? ['nl'] : []), ...(rap ? ['rap'] : [])].join(' ')
}

/** The subscription of {@link optionsOf}. */
export function subscriptionOf(topic: string, options: string): StoredSubscription {
  const [qos, ...set] = options.split(' ')
  return { topic, qos: Number(qos), nl: set.includes('nl'), rap: set.includes('rap') }
}

function filtersIn(text: string): string[] {
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null) return []
  return Object.entries(parsed).flatMap(([filter, qos]) => (Number(qos) > 0 ? [filter] : []))
}
