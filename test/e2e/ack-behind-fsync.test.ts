import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { startServer } from './server.ts'
import { acksBeforeSync } from './system-calls.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const MESSAGES = 300

describe.skipIf(!canTrace)(
  'every acknowledgement leaves behind a completed sync (needs apt-get install strace)',
  () => {
    it('holds for the product', async () => {
      const { acks, early } = await traceLoad({})
      expect(acks).toBe(MESSAGES)
      expect(early).toBe(0)
    })

    it('fails with synchronous=OFF', async () => {
      const preload = join(import.meta.dirname, '../variants/no-fsync.ts')
      const { acks, early } = await traceLoad({ NODE_OPTIONS: `--import ${preload}` })
      expect(acks).toBe(MESSAGES)
      expect(early).toBeGreaterThan(0)
    })
  },
)

async function traceLoad(env: Record<string, string>): Promise<{ acks: number; early: number }> {
  const file = join(tempFolder(), 'trace')
  const calls = 'trace=write,writev,pwrite64,pwritev,fsync,fdatasync,sendto,sendmsg'
  const server = await startServer({
    wrapper: ['strace', '-f', '-yy', '-xx', '-s', '65536', '-e', calls, '-o', file],
    env,
  })
  await publishMarked(server)
  await server.kill('SIGTERM')
  return acksBeforeSync(readFileSync(file, 'latin1'), server.mqttPort)
}

/** Each payload names the packet id of its message, so that the trace ties an ack to its bytes. */
async function publishMarked(server: { mqttPort: number; url: string; token: string }): Promise<void> {
  const response = await fetch(`${server.url}/v1/devices`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'demo', device: 'traced' }),
  })
  const { username, secret } = (await response.json()) as { username: string; secret: string }
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
