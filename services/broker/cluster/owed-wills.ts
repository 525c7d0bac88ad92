import { toSluiceError } from '../../../shared/errors.ts'
import type { Fence, Lease } from './fence.ts'
import type { Message } from './messages.ts'

/** Wills of connections that ended while Redis was away; beyond it the oldest is dropped. */
const MAX_OWED = 10_000

/**
 * Wills whose session could not be asked for: whether they are still true is known when Redis is back. One whose client
 * has connected again, here or elsewhere, is none any more.
 */
export class OwedWills {
  readonly #fence: Fence
  readonly #owed = new Map<string, { readonly lease: Lease; readonly will: Message }>()

  constructor(fence: Fence) {
    this.#fence = fence
  }

  add(lease: Lease, will: Message): void {
    this.#owed.delete(lease.clientId)
    this.#owed.set(lease.clientId, { lease, will })
    if (this.#owed.size <= MAX_OWED) return
    const [oldest] = this.#owed.keys()
    if (oldest !== undefined) this.#owed.delete(oldest)
  }

  /** Error: `redis_unavailable`. What is left, because the registry is away too, comes with the next call. */
  async settle(publish: (will: Message, principal: string) => Promise<void>): Promise<void> {
    for (const [clientId, { lease, will }] of this.#owed) {
      const isTrue = this.#fence.leaseOf(clientId) === undefined && (await this.#fence.holds(lease))
      if (isTrue && !(await isPublished(publish(will, lease.principal)))) continue
      this.#owed.delete(clientId)
    }
  }
}

/** False while the registry cannot tell whether the will is still allowed. */
async function isPublished(publishing: Promise<void>): Promise<boolean> {
  try {
    await publishing
    return true
  } catch (error) {
    if (toSluiceError(error).code !== 'registry_unavailable') throw error
    return false
  }
}
