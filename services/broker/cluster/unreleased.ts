import type { RedisLink, ScriptArgument } from '../../../shared/mesh/redis-link.ts'
import type { HeldSession, ResumedSession, UnreleasedChange, UnreleasedStore } from '../telemetry/unreleased.ts'
import type { Fence } from './fence.ts'
import { principalOf } from '../../../shared/sessions/client-id.ts'
import { RECORD } from './scripts.ts'

/**
 * In Redis, fenced by the epoch of the session: a node takes it together with what is unreleased, and what its former
 * node writes later changes nothing.
 */
export class UnreleasedInRedis implements UnreleasedStore {
  readonly #link: RedisLink
  readonly #fence: Fence

  constructor(link: RedisLink, fence: Fence) {
    this.#link = link
    this.#fence = fence
  }

  get isUp(): boolean {
    return this.#link.isUp
  }

  /** Taking the session has read it. */
  async resume(clientId: string): Promise<ResumedSession> {
    const lease = this.#fence.leaseOf(clientId)
    const { epoch, unreleased = NONE } = lease?.left ?? {}
    return { session: { clientId, epoch: lease?.epoch }, unreleased, previousEpoch: epoch }
  }

  async write(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<HeldSession>> {
    const bySession = Map.groupBy(changes, ({ session }) => session)
    const args: ScriptArgument[] = []
    for (const [{ clientId, epoch = '' }, own] of bySession) {
      args.push(clientId, principalOf(clientId).name, epoch, own.length)
      for (const { id, digest } of own) args.push(id, digest ?? '')
    }
    const lost = await this.#link.eval(RECORD, ...args)
    const numbers = new Set(Array.isArray(lost) ? lost.map(Number) : [])
    return new Set([...bySession.keys()].filter((_session, number) => numbers.has(number)))
  }

  /** Whatever ends a session in Redis ends this, too. */
  async forget(): Promise<void> {
    await Promise.resolve()
  }
}

const NONE: ReadonlyMap<number, number> = new Map()
