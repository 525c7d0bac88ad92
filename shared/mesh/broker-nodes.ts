import { randomBytes } from 'node:crypto'
import {
  COMMAND_QUESTION,
  encodeCommand,
  HEARD_QUESTION,
  type BrokerNodes,
  type CommandResult,
  type SessionOnNode,
} from '../commands.ts'
import { SluiceError, toSluiceError } from '../errors.ts'
import { deviceKey } from '../topics.ts'
import { Mesh } from './mesh.ts'
import { listNodes } from './node-list.ts'
import { RedisLink, type RedisLinkOptions } from './redis-link.ts'

/** A node asks the one that holds the device, and stores the command when that one does not answer. */
const ANSWER_MS = 5_000

/** Who asks a list of devices waits so long for a node that hangs. */
const HEARD_MS = 1_000

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
    async heard(sessions) {
      const heard = new Map<SessionOnNode, number | null>()
      await Promise.all([...Map.groupBy(sessions, ({ node }) => node)].map(([node, own]) => ask(node, own)))
      return sessions.map((session) => heard.get(session) ?? null)

      async function ask(node: string, own: readonly SessionOnNode[]): Promise<void> {
        const body = own.map(({ tenant, device, clientId }) => ({ tenant, device, clientId }))
        try {
          const answer = await mesh.ask(node, HEARD_QUESTION, Buffer.from(JSON.stringify(body)), HEARD_MS)
          const times = JSON.parse(answer.toString()) as (number | null)[] // of presence.ts
          for (const [index, session] of own.entries()) heard.set(session, times[index] ?? null)
        } catch (error) {
          const { code } = toSluiceError(error)
          options.logger.debug({ node, code }, 'a node does not say when its sessions were heard')
        }
      }
    },
    check: () => link.check(),
    async close() {
      mesh.close()
      await link.close()
    },
  }
}
