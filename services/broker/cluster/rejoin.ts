import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { Lease, SessionStore } from '../../../shared/sessions/port.ts'

/** What Redis has lost of groups while it was down is there again. Error: `redis_unavailable`. */
export async function rejoin(
  store: Pick<SessionStore, 'join'>,
  leases: readonly Lease[],
  logger: Logger,
): Promise<void> {
  for (const lease of leases) {
    for (const [share, qos] of lease.shares) {
      try {
        await store.join(lease, share, qos)
      } catch (error) {
        const { code, message } = toSluiceError(error)
        if (code === 'redis_unavailable') throw error
        logger.warn({ clientId: lease.clientId, share, detail: message }, 'a member is lost to its group')
      }
    }
  }
}
