import { Redis } from 'ioredis'
import type { Servers } from '../../../load-tests/servers/all.ts'
import { untilCommitted } from './conservation.ts'
import type { Member } from '../../../load-tests/cluster/member.ts'

/**
 * A worker that hung goes on, when others have done its work to the last flush, and is restarted. The cache is emptied:
 * what it has may be newer, and what the registry has is the question.
 */
export async function wake(worker: Member | undefined, servers: Servers): Promise<void> {
  await untilCommitted(servers)
  worker?.signal('SIGCONT')
  await worker?.stop('SIGTERM')
  await worker?.start()
  const redis = new Redis(servers.cache.url)
  await redis.flushall()
  redis.disconnect()
}
