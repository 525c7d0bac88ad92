import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { hasMosquitto } from '../../integration/broker/listener-clients.ts'
import { tempFolder } from '../../helpers.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { PATIENCE } from '../../patience.ts'
import { metricOf } from '../server.ts'
import { backUp, mosquittoPub, numbersOf, openSite, publishAll, readingOf, sluice, type Login } from './backup-site.ts'

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const BEFORE = 3_000

describe.skipIf(!hasMosquitto)('a backup of a Sluice that works (apt-get install mosquitto-clients)', () => {
  it('has everything that was acknowledged before, once, in order, with sessions and retained messages', async () => {
    const env = { LOG_PARTITIONS: '3' }
    const { server, api, device } = await openSite({ env })
    const login = await device('first-1')
    const rules = [{ effect: 'allow', action: 'subscribe', topic: 't/#' }]
    const viewer = await api.post<Login>('/v1/applications', { name: 'viewer', rules })
    const away = { username: login.username, password: login.secret, clientId: 'away', withSecret: false }
    const status = 't/demo/first-1/status'
    const { client } = await connectJs(server.mqttPort, { ...away, clean: false })
    await client.subscribeAsync('t/demo/first-1/cmd/#', { qos: 1 })
    await client.publishAsync(status, 'on', { qos: 1, retain: true })
    await client.endAsync()
    await api.post('/v1/devices/demo/first-1/commands', { name: 'reboot', payload: 'now' })
    await publishAll(server, login, upTo(BEFORE))

    const other = await device('other')
    const load = mosquittoPub(server, other)
    let sent = 0
    const sending = setInterval(() => load.stdin?.write(`${readingOf(sent++)}\n`.repeat(20)), 1)
    onTestFinished(() => clearInterval(sending))
    await vi.waitUntil(() => sent > 20)
    const file = join(tempFolder(), 'backup')
    const told = await backUp(server, file, '--plain')
    const acked = await metricOf(server, 'sluice_broker_publishes_acked_total')
    clearInterval(sending)
    await server.kill('SIGKILL')
    load.kill('SIGKILL')
    await once(load, 'close')

    expect(acked).toBeGreaterThan(BEFORE)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(existsSync(`${file}.part`)).toBe(false)
    expect(told).toMatchObject({ tenants: 1 })
    const folder = tempFolder()
    await sluice({ DATA_DIR: folder }, 'restore', file)
    // A Sluice that is killed in a backup leaves nothing for long.
    expect(readdirSync(folder).filter((name) => /stage|draft|ready/.test(name))).toEqual([])
    const restored = await openSite({ folder, env })
    await vi.waitFor(async () => expect(await numbersOf(restored.api, 'first-1')).toEqual(upTo(BEFORE)), PATIENCE)
    // It follows the points.
    await vi.waitFor(async () => {
      const { streams } = await restored.api.get<{ streams: { fields: { n: { value: number } } }[] }>(
        '/v1/devices/demo/first-1/latest',
      )
      expect(streams.map(({ fields }) => fields.n.value)).toEqual([BEFORE - 1])
    }, PATIENCE)
    const again = await connectJs(restored.server.mqttPort, { ...away, clean: false })
    expect(again.hasSession).toBe(true)
    await vi.waitFor(() => expect(again.messages).toEqual(['t/demo/first-1/cmd/reboot now 1']), PATIENCE)
    const viewing = { username: viewer.username, password: viewer.secret, withSecret: false }
    const shown = await connectJs(restored.server.mqttPort, viewing)
    await shown.client.subscribeAsync(status)
    await vi.waitFor(() => expect(shown.messages).toContain(`${status} on 0 retained`), PATIENCE)
  })

  it.for([
    { entry: 'test/variants/standalone-storing-late.ts', what: 'loses nothing', lost: 0 },
    { entry: 'test/variants/backup-backwards.ts', what: 'loses what is copied in another order', lost: BEFORE },
  ])('$what where everything is stored between two copies ($entry)', async ({ entry, lost }) => {
    const { server, device } = await openSite({ entry })
    await publishAll(server, await device('late'), upTo(BEFORE))
    const file = join(tempFolder(), 'backup')
    await backUp(server, file, '--plain')
    await server.kill('SIGKILL')
    const folder = tempFolder()
    await sluice({ DATA_DIR: folder }, 'restore', file)
    const restored = await openSite({ folder })
    const isStored = async () => {
      const { partitions } = await restored.api.get<{ partitions: { records: number }[] }>('/v1/log')
      return partitions.every(({ records }) => records === 0)
    }
    await vi.waitUntil(isStored, PATIENCE)
    const found = await numbersOf(restored.api, 'late')
    expect(BEFORE - found.length).toBe(lost)
    expect(found).toEqual(upTo(found.length))
  })
})
