import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { startServer, type Server } from './server.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

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
    const failing = ['-P', join(folder, 'registry.db-wal'), '-e', 'inject=fsync,fdatasync:error=EIO:when=1+']
    const server = await startServer({
      folder,
      wrapper: ['strace', '-f', '-o', join(tempFolder(), 'trace'), ...failing],
    })
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
