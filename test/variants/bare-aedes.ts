import { createServer, type AddressInfo } from 'node:net'
import { Aedes } from 'aedes'

/** aedes alone on a port: no gate, no logins, no rules. It speaks MQTT 3.1.1 over TCP. */
export async function startBareAedes(): Promise<{ readonly port: number; close(): Promise<void> }> {
  // With a hook of its own it does not even keep its $ topics to itself.
  const aedes = await Aedes.createBroker({ authorizePublish: (_client, _packet, done) => done(null) })
  const server = createServer((socket) => void aedes.handle(socket))
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      await new Promise<void>((resolve) => aedes.close(resolve))
      await closed
    },
  }
}
