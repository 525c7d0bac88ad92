import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connectPacket, PACKET } from '../../shared/mqtt/client-packets.ts'
import { encodeFixedHeader, encodeText, encodeUint16 } from '../../shared/mqtt/encoding.ts'
import type { FleetDevice } from '../../services/simulator/fleet.ts'
import type { StormService } from '../storms/storm-service.ts'

export interface FloodFigures {
  /** Bytes that the sockets had to send. */
  readonly offered: number
  /** Bytes that the kernel took from them, its buffers included. */
  readonly taken: number
  /** Bytes that the broker's process read meanwhile. */
  readonly read: number
  /** Sockets whose message was acknowledged all the same. */
  readonly acknowledged: number
  /** Resident memory above that of before: the most that was seen, and in the end, without garbage. */
  readonly peak: number
  readonly left: number
}

const PIECE = Buffer.alloc(64 * 1024, 0x61)
const SAMPLE_MS = 5
const CONNACK_BYTES = 4
/** For what is answered at the end. */
const ANSWER_MS = 10_000

/** Sockets that each send the beginning of a CONNECT of `bytes` bytes, and its rest as long as it is taken. */
export function floodBeforeLogin(service: StormService, sockets: number, bytes: number): Promise<FloodFigures> {
  return measure(service, sockets * bytes, () =>
    atOnce(sockets, async () => {
      const socket = await open(service)
      return send(socket, encodeFixedHeader(PACKET.connect, bytes), bytes)
    }),
  )
}

/** Devices that log in and each send one PUBLISH of `bytes` bytes at QoS 1. */
export function floodAfterLogin(
  service: StormService,
  devices: readonly FleetDevice[],
  bytes: number,
): Promise<FloodFigures> {
  return measure(service, devices.length * bytes, () =>
    atOnce(devices.length, async (index) => {
      const { tenant, device, username, secret = '' } = devices[index] ?? { tenant: '', device: '', username: '' }
      const socket = await open(service)
      socket.write(connectPacket({ clientId: 'flood', username, password: secret, keepAliveSeconds: 0 }))
      await answer(socket, CONNACK_BYTES)
      const topic = Buffer.concat([encodeText(`t/${tenant}/${device}/telemetry`), encodeUint16(1)])
      const header = Buffer.concat([encodeFixedHeader(PACKET.publish | 0x02, bytes), topic])
      return send(socket, header, bytes - topic.length)
    }),
  )
}

interface Sent {
  readonly taken: number
  readonly isAcknowledged: boolean
}

async function measure(service: StormService, offered: number, run: () => Promise<Sent[]>): Promise<FloodFigures> {
  const before = await service.settledBytes()
  const readBefore = service.readBytes()
  let most = before
  const sampling = setInterval(() => (most = Math.max(most, service.residentBytes())), SAMPLE_MS)
  try {
    const sent = await run()
    most = Math.max(most, service.residentBytes())
    return {
      offered,
      taken: sent.reduce((sum, { taken }) => sum + taken, 0),
      read: service.readBytes() - readBefore,
      acknowledged: sent.filter(({ isAcknowledged }) => isAcknowledged).length,
      peak: most - before,
      left: (await service.settledBytes()) - before,
    }
  } finally {
    clearInterval(sampling)
  }
}

function atOnce(count: number, run: (index: number) => Promise<Sent>): Promise<Sent[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => run(index)))
}

async function open({ mqttPort }: StormService): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: mqttPort, noDelay: true })
  // A broker that turns a client away resets its connection; `close` follows.
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Sends the header and so many bytes, as long as the other side takes them. */
async function send(socket: Socket, header: Buffer, bytes: number): Promise<Sent> {
  let acknowledged = false
  socket.on('data', (answer: Buffer) => (acknowledged ||= answer[0] === PACKET.puback))
  let taken = (await write(socket, header)) ? header.length : 0
  for (let left = bytes; left > 0 && taken > 0; left -= PIECE.length) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
    if (!(await write(socket, piece))) break
    taken += piece.length
  }
  const until = Date.now() + ANSWER_MS
  while (!acknowledged && !socket.destroyed && Date.now() < until) await delay(SAMPLE_MS)
  socket.destroy()
  return { taken, isAcknowledged: acknowledged }
}

/** Resolves with false when the connection ended before the kernel took the bytes. */
function write(socket: Socket, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve(false)
    const onClose = (): void => resolve(false)
    socket.once('close', onClose)
    socket.write(bytes, (error) => {
      socket.off('close', onClose)
      resolve(error === null || error === undefined)
    })
  })
}

async function answer(socket: Socket, bytes: number): Promise<void> {
  let got = 0
  while (got < bytes) got += ((await once(socket, 'data')) as [Buffer])[0].length
}
