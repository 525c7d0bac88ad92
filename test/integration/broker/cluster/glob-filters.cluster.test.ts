import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { installPackages } from '../../../../load-tests/servers/tools.ts'
import { connectJs } from '../../../mqtt/mqtt-js.ts'
import { startNodes } from './nodes.ts'

beforeAll(() =>
  installPackages([{ command: 'mosquitto_sub', package: 'mosquitto-clients', why: 'clients that we did not write' }]),
)

/** Filters with what is a pattern to Redis, and topics: of each what it is by the letter, and what a pattern would take. */
const FILTERS = [
  'house/*',
  'house/?',
  'house/[ab]/x',
  'house/[^a]/+',
  'house/\\*/#',
  'house/+/[1-9]',
  '*',
  '[h]ouse/?/x',
  'house/**/#',
  't/a/1/cmd/*',
]
const TOPICS = [
  ...['house/*', 'house/q', 'house/?', 'house/[ab]/x', 'house/a/x', 'house/b/x', 'house/[^a]/x', 'house/\\*/x'],
  ...[
    'house/*/x',
    'house/q/[1-9]',
    'house/q/5',
    '*',
    'house',
    '[h]ouse/?/x',
    'house/?/x',
    'house/**/x/y',
    'house/a/b/c',
  ],
  ...['t/a/1/cmd/*', 't/a/1/cmd/x'],
]

interface Subscriber {
  readonly lines: string[]
  stop(): Promise<void>
}

/** Mosquitto's subscriber, subscribed; each message as a line of topic and text. */
async function subscribe(port: number, id: string, filter: string, ...more: readonly string[]): Promise<Subscriber> {
  const login = ['-p', String(port), '-u', 'app', '-P', 's', '-i', id, '-q', '1']
  // By the line: that it is subscribed would be told with the first message.
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', '-d', ...login, '-t', filter, '-F', '> %t %p', ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(stop)
  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('> ')) lines.push(line.slice(2))
    if (line.startsWith('Subscribed')) ready.resolve()
  })
  await ready.promise
  return { lines, stop }
}

/** By the letter, but for `+` and `#`; written down again, so that the product's own is looked at too. */
function matches(filter: string, topic: string): boolean {
  const [levels, given] = [filter.split('/'), topic.split('/')]
  const open = levels.at(-1) === '#'
  const fixed = open ? levels.slice(0, -1) : levels
  if (open ? given.length < fixed.length : given.length !== fixed.length) return false
  return fixed.every((level, n) => level === '+' || level === given[n])
}

const wanted = (filter: string, text: string): string[] =>
  TOPICS.filter((topic) => matches(filter, topic)).map((topic) => `${topic} ${text}`)

it('filters with * ? [ ] and \\ mean themselves over two nodes, sessions that are away and retained messages too', async () => {
  const nodes = await startNodes()
  const [one, two] = await Promise.all([nodes.start('one'), nodes.start('two')])
  const publisher = await connectJs(one.port, { username: 'app', clientId: 'publisher' })
  const publish = async (text: string, retain = false): Promise<void> => {
    for (const topic of TOPICS) await publisher.client.publishAsync(topic, text, { qos: 1, retain })
  }
  // Each filter is one that something else would match, if it were a pattern.
  for (const filter of FILTERS)
    expect(
      TOPICS.some((topic) => matches(filter, topic)),
      filter,
    ).toBe(true)

  const live = await Promise.all(FILTERS.map((filter, n) => subscribe(two.port, `live-${n}`, filter)))
  const away = await Promise.all(FILTERS.map((filter, n) => subscribe(two.port, `away-${n}`, filter, '-c')))
  await publish('first')
  for (const [n, filter] of FILTERS.entries()) {
    const expected = wanted(filter, 'first').sort()
    await expect.poll(() => [...(live[n]?.lines ?? [])].sort(), { message: filter }).toEqual(expected)
    await expect.poll(() => [...(away[n]?.lines ?? [])].sort(), { message: filter }).toEqual(expected)
  }

  await Promise.all(away.map(({ stop }) => stop()))
  await publish('second', true)
  // On the other node: what came meanwhile, and what is retained.
  const back = await Promise.all(FILTERS.map((filter, n) => subscribe(one.port, `away-${n}`, filter, '-c')))
  const late = await Promise.all(FILTERS.map((filter, n) => subscribe(two.port, `late-${n}`, filter)))
  for (const [n, filter] of FILTERS.entries()) {
    // Some of the first may be unacknowledged when its client is killed.
    const second = () => (back[n]?.lines ?? []).filter((line) => line.endsWith(' second'))
    await expect.poll(() => [...new Set(second())].sort(), { message: filter }).toEqual(wanted(filter, 'second').sort())
    await expect
      .poll(() => [...(late[n]?.lines ?? [])].sort(), { message: filter })
      .toEqual(wanted(filter, 'second').sort())
    expect((live[n]?.lines ?? []).filter((line) => !wanted(filter, 'first').includes(line)).sort(), filter).toEqual(
      wanted(filter, 'second').sort(),
    )
  }
})
