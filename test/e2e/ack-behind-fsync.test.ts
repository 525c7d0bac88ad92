import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { startServer, type Server } from './server.ts'
import { acksBeforeSync } from './system-calls.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const MESSAGES = 300
const SESSION_MESSAGES = 60

describe.skipIf(!canTrace)(
  'every acknowledgement leaves behind a completed sync (needs apt-get install strace)',
  () => {
    it('holds for the product', async () => {
      const { acks, early } = await traceLoad({})
      expect(acks).toBe(MESSAGES)
      expect(early).toBe(0)
    })

    it('holds for retained messages, and for what waits for a session that is away', async () => {
      const { acks, early } = await traceLoad({}, publishForSessions)
      expect(acks).toBe(SESSION_MESSAGES)
      expect(early).toBe(0)
    })

    it('fails for those on a store that is not waited for', async () => {
      const { acks, early } = await traceLoad({}, publishForSessions, 'test/variants/early-sessions.ts')
      expect(acks).toBe(SESSION_MESSAGES)
      expect(early).toBeGreaterThan(0)
    })

    it('fails with synchronous=OFF', async () => {
      const preload = join(import.meta.dirname, '../variants/no-fsync.ts')
      const { acks, early } = await traceLoad({ NODE_OPTIONS: `--import ${preload}` })
      expect(acks).toBe(MESSAGES)
      expect(early).toBeGreaterThan(0)
    })
  },
)

type Traced = Pick<Server, 'mqttPort' | 'url' | 'token'>

async function traceLoad(
  env: Record<string, string>,
  load: (server: Traced) => Promise<void> = publishMarked,
  entry?: string,
): Promise<{ acks: number; early: number }> {
  const file = join(tempFolder(), 'trace')
  const calls = 'trace=write,writev,pwrite64,pwritev,fsync,fdatasync,sendto,sendmsg'
  const server = await startServer({
    wrapper: ['strace', '-f', '-yy', '-xx', '-s', '65536', '-e', calls, '-o', file],
    env,
    ...(entry !== undefined && { entry }),
  })
  await load(server)
  await server.kill('SIGTERM')
  return acksBeforeSync(readFileSync(file, 'latin1'), server.mqttPort)
}

/** Each payload names the packet id of its message, so that the trace ties an ack to its bytes. */
async function publishMarked(server: Traced): Promise<void> {
  const { username = '', secret } = await addLogin(server, 'devices', { tenant: 'demo', device: 'traced' })
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, {
    ...{ username, password: secret, clientId: 'traced' },
  })
  for (let done = 0; done < MESSAGES; done += 10) {
    await Promise.all(
      Array.from({ length: 10 }, () => {
        const messageId = client.getLastMessageId() + 1
        return client.publishAsync(`t/${username}/telemetry`, `{"mark":${messageId + 1_000_000}}`, { qos: 1 })
      }),
    )
  }
  await client.endAsync()
}

async function addLogin(
  { url, token }: Traced,
  what: 'devices' | 'applications',
  body: object,
): Promise<{ username?: string; secret: string }> {
  const response = await fetch(`${url}/v1/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await response.json()) as { username?: string; secret: string }
}

/** Half of them retained, half of them for a subscriber at QoS 1 that is away. */
async function publishForSessions(server: Traced): Promise<void> {
  const rules = ['publish', 'subscribe'].map((action) => ({ effect: 'allow', action, topic: '#' }))
  const { secret: password } = await addLogin(server, 'applications', { name: 'traced', rules })
  const connect = (clientId: string, clean: boolean) =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, { username: 'traced', password, clientId, clean })
  const away = await connect('away', false)
  await away.subscribeAsync('queue/#', { qos: 1 })
  await away.endAsync()
  const client = await connect('sends', true)
  for (let done = 0; done < SESSION_MESSAGES; done += 10) {
    await Promise.all(
      Array.from({ length: 10 }, (_, n) => {
        const payload = `{"mark":${client.getLastMessageId() + 1 + 1_000_000}}`
        const retain = n % 2 === 0
        return client.publishAsync(retain ? `state/${n}` : 'queue/x', payload, { qos: 1, retain })
      }),
    )
  }
  await client.endAsync()
}
