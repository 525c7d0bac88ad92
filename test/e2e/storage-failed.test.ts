import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import mqtt, { type MqttClient } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server } from './server.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

/** Runs a process whose syncs of a file fail; of its other system calls nothing is looked at. */
function failingSyncs(file: string): string[] {
  const syncs = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO:when=1+']
  return ['strace', '-f', '--seccomp-bpf', '-o', join(tempFolder(), 'trace'), '-P', file, ...syncs]
}

function addDevice({ url, token }: Server, device: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return fetch(`${url}/v1/devices`, { method: 'POST', headers, body: JSON.stringify({ tenant: 'demo', device }) })
}

describe.skipIf(!canTrace)('a commit of the registry whose sync fails (needs apt-get install strace)', () => {
  it('is answered with the reason, ends the process with exit code 1, and the next start works', async () => {
    const folder = tempFolder()
    const before = await startServer({ folder })
    expect((await addDevice(before, 'kept')).status).toBe(201)
    await before.kill('SIGTERM')
    const server = await startServer({ folder, wrapper: failingSyncs(join(folder, 'registry.db-wal')) })
    const exited = once(server.child, 'exit')
    let answer = await addDevice(server, 'new-1')
    // The first ones may be synced: how many syncs a start takes is nobody's promise.
    for (let i = 2; answer.status === 201 && i < 10; i++) answer = await addDevice(server, `new-${i}`)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ code: 'storage_failed' })
    expect((await exited)[0]).toBe(1)
    expect(server.log()).toContain('"code":"storage_failed"')
    expect(server.log()).toContain('sluice: ')
    const after = await startServer({ folder })
    expect((await addDevice(after, 'kept')).status).toBe(409)
    expect((await addDevice(after, 'later')).status).toBe(201)
  })
})

describe.skipIf(!canTrace)('a commit of sessions whose sync fails (needs apt-get install strace)', () => {
  it('is not acknowledged, ends the process with exit code 1, and the next start has what was', async () => {
    const folder = tempFolder()
    const before = await startServer({ folder })
    const password = await addApplication(before)
    expect(await retain(before, password, 'kept')).toBe(true)
    await before.kill('SIGTERM')
    const server = await startServer({ folder, wrapper: failingSyncs(join(folder, 'sessions.db-wal')) })
    const exited = once(server.child, 'exit')
    const kept = ['kept']
    // The first ones may be synced: how many syncs a start takes is nobody's promise.
    for (let i = 1; i < 10 && (await retain(server, password, `new-${i}`)); i++) kept.push(`new-${i}`)
    expect(kept.length).toBeLessThan(10)
    expect((await exited)[0]).toBe(1)
    expect(server.log()).toContain('(storage_failed)')
    const after = await startServer({ folder })
    expect(await retainedTopics(after, password)).toEqual(expect.arrayContaining(kept))
    expect(await retain(after, password, 'later')).toBe(true)
  })
})

async function addApplication({ url, token }: Server): Promise<string> {
  const rules = ['publish', 'subscribe'].map((action) => ({ effect: 'allow', action, topic: '#' }))
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ name: 'app', rules })
  const response = await fetch(`${url}/v1/applications`, { method: 'POST', headers, body })
  return ((await response.json()) as { secret: string }).secret
}

function connect({ mqttPort }: Server, password: string): Promise<MqttClient> {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username: 'app', password, reconnectPeriod: 0 }, false)
}

/** Whether it was acknowledged. */
async function retain(server: Server, password: string, topic: string): Promise<boolean> {
  const client = await connect(server, password).catch((error: Error) => error)
  if (client instanceof Error) return false
  client.on('error', () => undefined)
  const gone = new Promise<false>((resolve) => client.once('close', () => resolve(false)))
  const acknowledged = client.publishAsync(topic, 'on', { qos: 1, retain: true }).then(() => true)
  const answer = await Promise.race([acknowledged, gone])
  client.end(true)
  return answer
}

async function retainedTopics(server: Server, password: string): Promise<string[]> {
  const client = await connect(server, password)
  const topics: string[] = []
  client.on('message', (topic) => topics.push(topic))
  await client.subscribeAsync('#', { qos: 1 })
  await expect.poll(() => topics.length, PATIENCE).toBeGreaterThan(0)
  await client.publishAsync('end', 'on', { qos: 1 })
  await expect.poll(() => topics, PATIENCE).toContain('end')
  client.end(true)
  return topics
}
