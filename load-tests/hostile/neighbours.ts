import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import type { FleetDevice } from '../../services/simulator/fleet.ts'

export const NEIGHBOURS = ['series flood', 'slow sockets', 'wide answers'] as const

/** What the process of a neighbour is told, as its first message; it answers when it is under way, and ends at the second. */
export interface NeighbourTask {
  readonly kind: (typeof NEIGHBOURS)[number]
  readonly login: FleetDevice
  readonly ports: { readonly mqtt: number; readonly tls: number; readonly ws: number; readonly http: number }
  /** Of whoever asks for the answers. */
  readonly token: string
}

/** A neighbour, under way. */
interface Neighbour {
  /** What it has done, for a person. */
  stop(): Promise<string>
}

const FLOOD_FIELDS = 1_000
/** To each listener. */
const SLOW_SOCKETS = 500
const BYTE_EVERY_MS = 500
/** Each is due in turn. */
const TURNS = 50
const WIDE_TEXTS = 6_000
const WIDE_BYTES = 16_000
const WIDE_AT_ONCE = 6

function login({ login: { username, secret }, ports }: NeighbourTask): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, { username, password: secret ?? '' })
}

const topicOf = ({ login: { tenant, device } }: NeighbourTask): string => `t/${tenant}/${device}/telemetry`

/** One message after the other, each of fields that no message had before. */
async function seriesFlood(task: NeighbourTask): Promise<Neighbour> {
  const client = await login(task)
  let isOver = false
  let messages = 0
  const flooding = (async () => {
    for (; !isOver; messages += 1) {
      const fields = Array.from({ length: FLOOD_FIELDS }, (_unused, field) => [`made-up-${messages}-${field}`, field])
      await client.publishAsync(topicOf(task), JSON.stringify(Object.fromEntries(fields)), { qos: 1 })
    }
  })()
  return {
    async stop() {
      isOver = true
      await flooding
      await client.endAsync()
      return `${messages} messages of ${FLOOD_FIELDS} new fields acknowledged`
    },
  }
}

/** Connections that send the beginning of what is spoken there, a byte at a time, and are made again when they are closed. */
async function slowSockets({ ports: { mqtt, tls, ws, http } }: NeighbourTask): Promise<Neighbour> {
  const connectPacket = Buffer.from([0x10, 0x7f, 0, 4, ...Buffer.from('MQTT'), 5, 2, 0, 60, ...Buffer.alloc(110, 0x61)])
  const request = Buffer.from(`GET /v1/devices HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ${'a'.repeat(10_000)}`)
  const doors = [
    { port: mqtt, bytes: connectPacket },
    { port: tls, bytes: Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...Buffer.alloc(400, 1)]) },
    { port: ws, bytes: request },
    { port: http, bytes: request },
  ]
  let opened = 0
  let isOver = false
  const sockets = new Map<Socket, { readonly bytes: Buffer; readonly turn: number; sent: number }>()
  const open = (door: (typeof doors)[number]): void => {
    if (isOver) return
    opened += 1
    const socket = connect({ host: '127.0.0.1', port: door.port })
    sockets.set(socket, { bytes: door.bytes, turn: opened % TURNS, sent: 0 })
    socket.resume()
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      // Not at once: one who is turned away comes back with the next byte that is due.
      setTimeout(open, BYTE_EVERY_MS, door)
    })
  }
  for (const door of doors) for (let i = 0; i < SLOW_SOCKETS; i += 1) open(door)
  // That so many come at once is another story, which storms.ts tells.
  await Promise.all(
    Array.from(sockets.keys(), (socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
  )
  let turn = 0
  const timer = setInterval(() => {
    turn = (turn + 1) % TURNS
    for (const [socket, one] of sockets) {
      if (one.turn === turn) socket.write(one.bytes.subarray(one.sent, (one.sent += 1)))
    }
  }, BYTE_EVERY_MS / TURNS)
  return {
    stop: () => {
      isOver = true
      clearInterval(timer)
      for (const socket of sockets.keys()) socket.destroy()
      return Promise.resolve(`${opened} connections opened, ${SLOW_SOCKETS} at a time to each of ${doors.length} doors`)
    },
  }
}

/** The largest answers that there are, some at once, as fast as they come. */
async function wideAnswers(task: NeighbourTask): Promise<Neighbour> {
  const client = await login(task)
  const text = 'é'.repeat(WIDE_BYTES / 2)
  const published: Promise<unknown>[] = []
  for (let i = 0; i < WIDE_TEXTS; i += 1) {
    const payload = JSON.stringify({ time: 1_700_000_000_000 + i, wide: `${i} ${text}` })
    published.push(client.publishAsync(topicOf(task), payload, { qos: 1 }))
    if (i % 32 === 31) await published.at(-32)
  }
  await Promise.all(published)
  await client.endAsync()
  await sleep(3_000)
  const { tenant, device } = task.login
  const path = `/v1/devices/${tenant}/${device}/readings?field=wide&from=0&limit=10000`
  let isOver = false
  let [answers, bytes] = [0, 0]
  const asking = Array.from({ length: WIDE_AT_ONCE }, async () => {
    while (!isOver) {
      const headers = { authorization: `Bearer ${task.token}` }
      const request = get({ host: '127.0.0.1', port: task.ports.http, path, headers })
      const [answer] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }]
      for await (const piece of answer) bytes += piece.length
      if (answer.statusCode === 200) answers += 1
      else await sleep(100)
    }
  })
  return {
    async stop() {
      isOver = true
      await Promise.all(asking)
      return `${answers} answers of ${(bytes / 1e6 / Math.max(1, answers)).toFixed(1)} MB, ${WIDE_AT_ONCE} at once`
    },
  }
}

const START = { 'series flood': seriesFlood, 'slow sockets': slowSockets, 'wide answers': wideAnswers }

const tell = process.send?.bind(process)
if (tell !== undefined) {
  // A neighbour has a machine of his own: what he takes of this one is what Sluice does for him.
  setPriority(19)
  const [task] = (await once(process, 'message')) as [NeighbourTask]
  const neighbour = await START[task.kind](task)
  tell('under way')
  await once(process, 'message')
  tell(await neighbour.stop())
  process.disconnect?.()
}
