import Type from 'typebox'
import { formatInstant } from '../../../shared/telemetry.ts'
import { parseDeviceKey, parseDeviceTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import type { LetterCursor } from '../letter-cursor.ts'
import type { FoundLetter } from '../letter-reader.ts'
import { shownWho } from '../letter-view.ts'
import { newestLetters } from '../letters.ts'
import { NamedInPayload } from '../named-in-payload.ts'
import { problemResponses } from '../problem.ts'

const Pending = Type.Object({
  tenant: Type.String(),
  device: Type.String(),
  by: Type.Enum(['login', 'topic', 'payload'], {
    description: 'It tried to log in, a publish to its topic was refused, or a payload named it, whose rest is stored.',
  }),
  who: Type.String({ description: 'The login that was refused, or that published.' }),
  detail: Type.String(),
  topic: Type.Union([Type.String(), Type.Null()]),
  lastAt: Type.String({ format: 'date-time' }),
  times: Type.Integer({ description: 'Refusals that were kept; a client that retries in a loop had more.' }),
})

interface Candidate {
  readonly tenant: string
  readonly device: string
  readonly by: 'login' | 'topic' | 'payload'
  readonly letter: FoundLetter['letter']
  times: number
}

/** Refusals looked at for one answer. */
const MAX_LETTERS = 10_000
const PAGE = 1_000
/** Of devices that do not exist. */
const MAX_PENDING = 1_000

/** Devices that nobody made, by what was refused of them. */
export function pendingRoutes(app: Api, options: ApiParts<'log' | 'registry'>): void {
  app.get(
    '/devices/pending',
    {
      schema: {
        tags: ['provisioning'],
        summary: 'Unknown devices that tried to log in, or whose topics were published to',
        description: `Taken from the newest ${MAX_LETTERS} refusals, of which a bounded number is kept per second.`,
        response: { 200: Type.Object({ pending: Type.Array(Pending) }), ...problemResponses },
      },
    },
    async () => {
      const candidates = new Map<string, Candidate>()
      const named = new NamedInPayload(options.registry)
      let cursor: LetterCursor | undefined
      for (let seen = 0; seen < MAX_LETTERS && candidates.size < MAX_PENDING; seen += PAGE) {
        const { letters, next } = await newestLetters(options, { filter: {}, limit: PAGE, cursor })
        for (const { letter } of letters)
          for (const one of await devicesOf(letter, named)) note(candidates, one, letter)
        if (next === undefined) break
        cursor = next
      }
      const all = [...candidates.values()]
      const known = await options.registry.existingDevices(all)
      const unknown = all.filter((one) => !known.some(({ tenant, device }) => isSame(one, tenant, device)))
      return {
        pending: unknown.slice(0, MAX_PENDING).map(({ tenant, device, by, letter, times }) => {
          const { detail, topic, firstFailedMs } = letter
          const who = by === 'payload' ? shownWho(letter, options.registry.names) : letter.who
          const lastAt = formatInstant({ ms: firstFailedMs, ns: 0 })
          return { tenant, device, by, who, detail, topic: topic ?? null, lastAt, times }
        }),
      }
    },
  )
}

function isSame(one: Candidate, tenant: string, device: string): boolean {
  return one.tenant === tenant && one.device === device
}

/** The newest refusal of each name comes first. */
function note(candidates: Map<string, Candidate>, found: Found, letter: FoundLetter['letter']): void {
  const name = `${found.tenant}/${found.device}`
  const known = candidates.get(name)
  if (known === undefined) candidates.set(name, { ...found, letter, times: 1 })
  else known.times += 1
}

type Found = Omit<Candidate, 'letter' | 'times'>

async function devicesOf(letter: FoundLetter['letter'], named: NamedInPayload): Promise<readonly Found[]> {
  const found = deviceOf(letter)
  if (found !== undefined) return [found]
  return (await named.of(letter)).map((name) => ({ ...name, by: 'payload' }))
}

function deviceOf({ stage, code, who, topic }: FoundLetter['letter']): Found | undefined {
  if (stage === 'connect' && code === 'login_failed') {
    const name = parseDeviceKey(who)
    return name === undefined ? undefined : { ...name, by: 'login' }
  }
  if (stage !== 'publish' || topic === undefined) return undefined
  const name = parseDeviceTopic(topic)
  return name === undefined ? undefined : { ...name, by: 'topic' }
}
