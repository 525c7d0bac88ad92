import { createConnection, type Socket } from 'node:net'
import { PACKET, subscribePacket } from '../../shared/mqtt/client-packets.ts'
import { connectToNode } from './broker-node-process.ts'

/** Which devices of the benchmark a process is: `a/<from>` and on, in turn on each of the nodes. */
export interface DeviceRange {
  readonly ports: readonly number[]
  readonly from: number
  readonly count: number
}

/** What it tells: that all are subscribed, and how many commands have come so far. */
export type DeviceReport = 'subscribed' | number

const CONNECTING = 200
const REPORT_MS = 20

/** Devices that wait for commands. They have processes of their own, because the files of a process are limited. */
process.on('message', (range: DeviceRange) => void play(range))

async function play({ ports, from, count }: DeviceRange): Promise<void> {
  let received = 0
  for (let done = 0; done < count; done += CONNECTING) {
    const part = Array.from({ length: Math.min(CONNECTING, count - done) }, (_, index) => from + done + index)
    await Promise.all(part.map((n) => connectDevice(ports[n % ports.length] ?? 0, `a/${n}`, () => (received += 1))))
  }
  tell('subscribed')
  let told = 0
  setInterval(() => {
    if (received !== told) tell(received)
    told = received
  }, REPORT_MS)
}

function tell(report: DeviceReport): void {
  process.send?.(report)
}

/** Resolves when it is subscribed to its commands; acknowledges and counts each. */
function connectDevice(port: number, name: string, onCommand: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.on('error', reject)
    socket.write(Buffer.concat([connectToNode(name), subscribePacket(1, `t/${name}/cmd/#`, 1)]))
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 2 + (chunk[at + 1] ?? 0)) {
        const type = (chunk[at] ?? 0) >> 4
        if (type === 9) resolve(socket)
        if (type !== 3) continue
        const id = at + 4 + chunk.readUInt16BE(at + 2)
        socket.write(Buffer.from([PACKET.puback, 2, chunk[id] ?? 0, chunk[id + 1] ?? 0]))
        onCommand()
      }
    })
  })
}
