import fc from 'fast-check'
import { expect, it } from 'vitest'
import { anyText, unseenIn } from '../../names.ts'
import { ok, problem, runAgainst, startFakeService, type Answer } from './fake-service.ts'

const AT = '2026-01-31T12:00:00Z'
const rule = (topic: string) => ({ effect: 'allow', action: 'publish', topic })

/** What a service that keeps a hostile text everywhere where one may stand answers, by path. */
function answers(h: string): Readonly<Record<string, unknown>> {
  const device = { tenant: 'a', device: h, uid: h, tags: { [h]: h }, createdAt: AT, lastSeen: AT, disabled: false }
  const session = { node: h, address: h }
  const presence = { connected: true, since: AT, reason: null, sessions: [session] }
  const credential = { id: h, username: h, kind: 'secret', createdAt: AT, lastUsed: null, expiresAt: null }
  const streams = [{ stream: h, fields: [{ field: h, type: 'string' }] }]
  const job = { id: 1, kind: h, state: 'done', counts: { [h]: 1 }, progress: h, who: h, createdAt: AT, endedAt: AT }
  const fault = { element: 0, path: h, code: 'payload_empty', detail: h }
  const letter = { id: h, kind: h, replayable: true, headers: { [h]: h }, source: { log: h, partition: 0, offset: 1 }, payload: h, payloadBytes: 1, payloadIsWhole: false, done: { state: h, tries: 1, who: h, job: 1 }, faults: [fault], faultCount: 2, who: h, topic: h, receivedAt: AT, stage: 'log', time: new Date().toISOString(), detail: h } // prettier-ignore
  const document = { quoted_numbers: h, streams: { [h]: { quoted_numbers: h } } }
  const revision = { tenant: 'a', revision: 1, at: AT, who: h, document }
  const reading = JSON.stringify({ tenant: 'a', device: h, stream: h, time: AT, values: { [h]: h } })
  const refusal = JSON.stringify({ code: 'login_failed', detail: h, fix: 'x', who: h, topic: h, receivedAt: AT })
  return {
    '/v1/devices': { devices: [device], next: null },
    '/v1/devices/a/b': { ...device, presence, credentials: [credential], streams, limits: [] },
    '/v1/devices/pending': {
      pending: [{ tenant: 'a', device: h, by: 'topic', who: h, topic: h, lastAt: AT, times: 1 }],
    },
    '/v1/applications': { applications: [{ name: h, rules: [rule(h)] }] },
    '/v1/acl/explain': { who: h, allowed: true, reason: h, rules: [rule(h)] },
    '/v1/audit': { entries: [{ at: AT, who: h, action: h, subject: h, detail: h }], next: null },
    '/v1/claim-keys': { claimKeys: [{ id: h, tenant: h, maxUses: 1, uses: 0, createdAt: AT, expiresAt: null }] },
    '/v1/jobs': { jobs: [job], next: null },
    '/v1/jobs/1': job,
    '/v1/dead-letters': { deadLetters: [letter], next: null },
    '/v1/dead-letters/x': letter,
    '/v1/dead-letters/export': { deadLetters: [letter], next: null },
    '/v1/policies': { ...revision, settings: [{ name: h, value: h, from: h }] },
    '/v1/policies/list': { policies: [revision] },
    '/v1/policies/history': { revisions: [revision] },
    '/v1/status': { version: h, mode: h, mqtt: { host: h, port: 1 }, unstored: null },
    '/v1/nodes': {
      nodes: [{ id: h, address: { host: h, port: 1 }, clients: 1, inFlight: 0, since: h, features: [h] }],
    },
    '/v1/workers': { workers: [{ id: h, host: h, partitions: [0], features: [h] }] },
    '/readyz': { ready: true, checks: [{ name: h, ok: false, shared: true, detail: h }, { name: 'disk', ok: true, detail: h }] }, // prettier-ignore
    '/v1/stream': `event: reading\ndata: ${reading}\n\nevent: refusal\ndata: ${refusal}\n\nevent: made-up\ndata: ${JSON.stringify(h)}\n\n`, // prettier-ignore
  }
}

const VERBS = [
  ...['devices list', 'devices show a/b', 'devices pending', 'applications list', 'acl explain a publish x', 'audit'],
  ...[
    'claim-keys list',
    'jobs list',
    'jobs show 1',
    'dead-letters list',
    'dead-letters show x',
    'dead-letters export',
    'policies show',
    'policies show --tenant a',
  ],
  ...['policies list', 'policies history', 'status', 'tail --limit 3'],
]

function check({ stdout, stderr }: { stdout: string; stderr: string }, what: string): void {
  const lines = `${stdout}${stderr}`.split('\n')
  expect(unseenIn(lines.join('')), what).toEqual([])
  // A line feed of theirs would begin a line of their own.
  expect(
    lines.filter((line) => line.trimStart().startsWith('forged')),
    what,
  ).toEqual([])
}

it('whatever texts a service has, a command shows text: nothing steers the terminal, hides, or makes up a line', async () => {
  let hostile = ''
  const answer = ({ path }: { path: string }): Answer | undefined => {
    const body = answers(hostile)[path]
    return typeof body === 'string'
      ? { ...ok(body), type: 'text/event-stream' }
      : body === undefined
        ? undefined
        : ok(body)
  }
  const { url } = await startFakeService({ answer })
  await fc.assert(
    fc.asyncProperty(anyText, async (text) => {
      hostile = text
      for (const verb of VERBS) {
        const shown = await runAgainst(url, verb.split(' '))
        expect(shown.stdout, `${verb}: ${shown.stderr}`).not.toBe('')
        check(shown, verb)
        const json = await runAgainst(url, [...verb.split(' '), '--json'])
        check(json, `${verb} --json`)
        for (const line of json.stdout.trimEnd().split('\n')) expect(() => void JSON.parse(line), verb).not.toThrow()
      }
    }),
    { numRuns: 20, examples: [['\nforged'], ['\u001b]0;x\u0007\u202e\u2028'], ['" or \u009b2J']] },
  )
})

it('neither does the reason why a command failed, nor a command line that is none', async () => {
  let hostile = ''
  const { url } = await startFakeService({ answer: () => problem(404, 'not_found', hostile) })
  await fc.assert(
    fc.asyncProperty(anyText, async (text) => {
      hostile = text
      for (const more of [[], ['--json']]) {
        check(await runAgainst(url, ['devices', 'list', ...more]), 'a problem')
        // A line of their own is what whoever typed it has made.
        const { stdout, stderr } = await runAgainst(url, [`x${text}`, ...more])
        expect(unseenIn(`${stdout}${stderr}`.replaceAll('\n', ''))).toEqual([])
      }
    }),
    { numRuns: 50, examples: [['\u001b[31m\u202e']] },
  )
})
