import type { RedisLink } from './redis-link.ts'

/** Names of the nodes that joined and did not leave; and what each says of itself, gone when it is silent. */
export const NODES_KEY = 'sluice:nodes'
export const LEASE_PREFIX = 'sluice:lease:'

/** What a broker node says of itself, a second or two ago. */
export interface NodeRecord {
  readonly id: string
  /** Where it listens for MQTT. */
  readonly address: { readonly host: string; readonly port: number }
  readonly clients: number
  /** Messages of QoS 1 and 2 that are not acknowledged yet. */
  readonly inFlight: number
  /** When it started; epoch ms. */
  readonly sinceMs: number
  /** What it reads, see features.ts; absent of a version that does not say. */
  readonly features?: readonly string[]
}

/** The nodes that live, by name. Error: `redis_unavailable`. */
export async function listNodes(link: RedisLink): Promise<NodeRecord[]> {
  const names = (await link.run((redis) => redis.smembers(NODES_KEY))).sort()
  if (names.length === 0) return []
  const records = await link.run((redis) => redis.mget(names.map((name) => `${LEASE_PREFIX}${name}`)))
  // Nodes wrote them; what a newer one adds is passed on.
  return records.flatMap((text) => (text === null ? [] : [JSON.parse(text) as NodeRecord]))
}
