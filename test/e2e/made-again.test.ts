import { describe, expect, it } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { lasting } from '../long.ts'
import { makeAgain, notTheirs, type Site } from './made-again.ts'
import { startServer, type Server } from './server.ts'

const DEVICES = lasting({ gate: 10, long: 100 })

const siteOf = ({ url, token, mqttPort }: Server): Site => {
  return { api: new ApiClient({ url, token }), url, token, mqttPorts: [mqttPort] }
}

describe('devices that are removed in the middle of their sending and made again at once', { timeout: 600_000 }, () => {
  it('have nothing of those before them, also when what was unread in the log is read after a kill', async () => {
    const first = await startServer()
    const names = await makeAgain(siteOf(first), 'd', DEVICES)
    // What these sent last may not have been read yet.
    names.push(...(await makeAgain(siteOf(first), 'late', 2)))
    await first.kill('SIGKILL')
    const second = await startServer({ folder: first.folder })
    expect(await notTheirs(siteOf(second), names)).toEqual([])
    await second.kill('SIGTERM')
    const third = await startServer({ folder: first.folder })
    expect(await notTheirs(siteOf(third), names)).toEqual([])
  })

  it('have what was not theirs where everything is stored under names', async () => {
    const server = await startServer({ entry: 'test/variants/standalone-by-name.ts' })
    const names = await makeAgain(siteOf(server), 'd', 3)
    const wrong = await notTheirs(siteOf(server), names)
    expect(wrong).toEqual(expect.arrayContaining(['d0: v old', 'd0: latest old 1', 'd0: refusal']))
  })
})
