import { randomBytes } from 'node:crypto'
import { COMMAND_QUESTION, encodeCommand, type BrokerNodes, type CommandResult } from '../commands.ts'
import { SluiceError } from '../errors.ts'
import { deviceKey } from '../topics.ts'
import { Mesh } from './mesh.ts'
import { listNodes } from './node-list.ts'
import { RedisLink, type RedisLinkOptions } from './redis-link.ts'

/** A node asks the one that holds the device, and stores the command when that one does not answer. */
const ANSWER_MS = 5_000

const RESULTS: readonly string[] = ['delivered', 'queued', 'no_session'] satisfies CommandResult[]

/**
 * The broker nodes over the Redis of their sessions, for a process that is none. Waits a little for Redis and goes on
 * without. Error: `redis_misconfigured`.
 */
export async function openBrokerNodes(
  options: RedisLinkOptions,
): Promise<BrokerNodes & { check: RedisLink['check']; close(): Promise<void> }> {
  const link = new RedisLink(options)
  const mesh = new Mesh(link, `api-${process.pid}-${randomBytes(6).toString('hex')}`, options.logger)
  await link.open()
  await mesh.open()
  return {
    list: () => listNodes(link),
    async send(command) {
      const { tenant, device } = command
      const holders = await link.run((redis) => redis.hvals(`sluice:sessions:${deviceKey(tenant, device)}`))
      const holder = holders.map((record) => record.split(' ')[2] ?? '').find((node) => node !== '')
      const node = holder ?? (await listNodes(link))[0]?.id
      if (node === undefined) throw new SluiceError('node_unreachable', 'no broker node is running')
      const answer = (await mesh.ask(node, COMMAND_QUESTION, encodeCommand(command), ANSWER_MS)).toString()
      if (!RESULTS.includes(answer))
        throw new SluiceError('internal', `unexpected answer of a node: ${JSON.stringify(answer)}`)
      return answer as CommandResult // one of them
    },
    check: () => link.check(),
    async close() {
      mesh.close()
      await link.close()
    },
  }
}
