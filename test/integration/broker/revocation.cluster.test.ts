import { expect, it, onTestFinished } from 'vitest'
import { createDevice } from '../../contract/registry-harness.ts'
import { MariadbOfFile, openAt } from '../../contract/registry-mariadb-harness.ts'
import { startBrokerOn } from './identity-broker.ts'

const mariadb = new MariadbOfFile()

/** A broker of one process and a registry of another, on one MariaDB and nothing else: there is no Redis to tell. */
async function start() {
  const url = await mariadb.newDatabase()
  const registries = await Promise.all([openAt(url), openAt(url)])
  for (const registry of registries) onTestFinished(() => registry.close())
  return { ...(await startBrokerOn(registries[0])), other: registries[1] }
}

it.each(['disable', 'revoke', 'remove'] as const)('%s in another process closes the connection here', async (how) => {
  const { connect, other } = await start()
  const login = await createDevice(other, 'acme/p1')
  const neighbour = await connect(await createDevice(other, 'acme/p2'))
  const device = await connect(login)
  const closed = new Promise<void>((resolve) => device.once('close', () => resolve()))
  if (how === 'remove') await other.removeDevice('acme', 'p1')
  else if (how === 'revoke') await other.credentials.revoke('acme/p1')
  else await other.credentials.setDisabled('acme/p1', true)
  await closed
  await expect(connect(login)).rejects.toThrow()
  expect(neighbour.connected).toBe(true)
})

it('a rotation in another process is taken within the look for changes, and closes nothing', async () => {
  const { connect, other } = await start()
  const old = await createDevice(other, 'acme/p1')
  const device = await connect(old, { clientId: 'live' })
  const next = await other.credentials.rotate('acme/p1', 86_400_000)
  await connect(next, { clientId: 'next' })
  const tryOld = async (): Promise<boolean> => {
    const outcomes = await Promise.allSettled([connect(old, { clientId: 'old' })])
    return outcomes[0].status === 'fulfilled'
  }
  await expect.poll(tryOld).toBe(false)
  expect(device.connected).toBe(true)
})

it('a device that is made elsewhere after its login failed here is let in within the look for changes', async () => {
  const { connect, other } = await start()
  const stranger = { username: 'acme/p1', secret: 'guess', token: '' }
  await expect(connect(stranger)).rejects.toThrow()
  const made = await createDevice(other, 'acme/p1')
  await connect(made)
})
