import Type, { type Static } from 'typebox'
import { checkRules, describeRule, MAX_RULES } from '../../../shared/acl.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { ImportedPassword } from '../../../shared/registry/identity-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { parseDeviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { Rule } from './applications.ts'
import { createDevices } from './devices.ts'

const Login = Type.Object(
  {
    kind: Type.Enum(['device', 'application']),
    name: Type.String({ description: 'tenant/device, or an application name; created if it is missing.' }),
    username: Type.String({ maxLength: 256, description: 'Username that the client sends; may differ from the name.' }),
    passwordHash: Type.String({
      maxLength: 512,
      description: "Mosquitto's $7$iterations$salt$hash (PBKDF2 with SHA-512) or $argon2id$..., used as it is.",
    }),
    rules: Type.Array(Rule, { maxItems: MAX_RULES, description: 'For an application; a device has fixed rules.' }),
  },
  { additionalProperties: false },
)
const Outcome = Type.Object({
  username: Type.String(),
  name: Type.String(),
  imported: Type.Boolean(),
  code: Type.Union([Type.String(), Type.Null()]),
  detail: Type.Union([Type.String(), Type.Null()]),
})

/** Logins of another broker, which its clients go on using as they are. */
export function importRoutes(app: Api, options: ApiParts<'registry' | 'points' | 'logger'>): void {
  app.post(
    '/imports/logins',
    {
      schema: {
        tags: ['provisioning'],
        summary: 'Import logins with the password hashes of Mosquitto; one that fails does not stop the others',
        body: Type.Object(
          { logins: Type.Array(Login, { minItems: 1, maxItems: 100 }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ logins: Type.Array(Outcome) }), ...problemResponses },
      },
    },
    async (request) => {
      const outcomes: Static<typeof Outcome>[] = []
      for (const login of request.body.logins) {
        const { username, name } = login
        try {
          await importLogin(options, login)
          await recordAction(options, request, 'login.import', name)
          outcomes.push({ username, name, imported: true, code: null, detail: null })
        } catch (error) {
          const { code, message } = toSluiceError(error)
          outcomes.push({ username, name, imported: false, code, detail: message })
        }
      }
      return { logins: outcomes }
    },
  )
}

/** What is there already is kept, so that an import that was cut off is repeated as a whole. */
async function importLogin(
  options: ApiParts<'registry' | 'points' | 'logger'>,
  login: Static<typeof Login>,
): Promise<void> {
  const { registry } = options
  const password = parseHash(login.passwordHash)
  checkRules(login.rules)
  const device = parseDeviceKey(login.name)
  if ((device !== undefined) !== (login.kind === 'device')) {
    throw new SluiceError('name_invalid', `${login.name} is not the name of a ${login.kind}`)
  }
  if (device === undefined) await makeApplication(registry, login)
  else if ((await registry.getDevice(device.tenant, device.device)) === undefined)
    await createDevices(options, [device])
  const known = await registry.credentials.list(login.name)
  if (known.some(({ kind, username }) => kind === 'imported' && username === login.username)) return
  await registry.credentials.importPassword(login.name, login.username, password)
}

/** Error: `already_exists` when there is one with other rules. */
async function makeApplication(registry: Registry, { name, rules }: Static<typeof Login>): Promise<void> {
  const found = await registry.getApplication(name)
  if (found === undefined) await registry.createApplication(name, rules)
  else if (JSON.stringify(found.rules.map(describeRule)) !== JSON.stringify(rules.map(describeRule))) {
    throw new SluiceError(
      'already_exists',
      `application ${name} has different rules; remove it, or set these rules by hand`,
    )
  }
}

/** Error: `bad_request`. */
function parseHash(text: string): ImportedPassword {
  const bytesOf = (salt: string | undefined, hash: string | undefined) => {
    return { salt: Buffer.from(salt ?? '', 'base64'), hash: Buffer.from(hash ?? '', 'base64') }
  }
  const pbkdf2 = /^\$7\$(\d{1,10})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/.exec(text)
  if (pbkdf2 !== null) {
    return { kind: 'mosquitto-7', iterations: Number(pbkdf2[1]), ...bytesOf(pbkdf2[2], pbkdf2[3]) }
  }
  const [, memoryKib, passes, lanes, salt, hash] = ARGON2ID.exec(text) ?? []
  if (hash === undefined) {
    throw new SluiceError(
      'bad_request',
      'passwordHash is neither $7$iterations$salt$hash nor $argon2id$v=19$m=,t=,p=$salt$hash',
    )
  }
  const cost = { memoryKib: Number(memoryKib), iterations: Number(passes), lanes: Number(lanes) }
  return { kind: 'argon2id', ...cost, ...bytesOf(salt, hash) }
}

/** The form of the password hashing competition, as Mosquitto 2.1 writes it: base64 without padding. */
const ARGON2ID =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/
