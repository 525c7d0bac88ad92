import Type, { type Static } from 'typebox'
import { Value } from 'typebox/value'
import { SluiceError } from '../../../shared/errors.ts'
import type { AclRule, RuleAction } from '../../../shared/registry/port.ts'
import { overlaps } from '../../../shared/topic-filter.ts'
import { whyNotATopic } from './acl-file.ts'
import type { MosquittoLogin } from './password-file.ts'

/** The part of the dynamic security plugin's file that says who may do what. */
const Priority = Type.Optional(Type.Number())
const RoleRefs = Type.Optional(Type.Array(Type.Object({ rolename: Type.String(), priority: Priority })))
const DynamicSecurityFile = Type.Object({
  defaultACLAccess: Type.Optional(
    Type.Object({
      publishClientSend: Type.Optional(Type.Boolean()),
      publishClientReceive: Type.Optional(Type.Boolean()),
      subscribe: Type.Optional(Type.Boolean()),
    }),
  ),
  clients: Type.Optional(
    Type.Array(
      Type.Object({
        username: Type.String(),
        password: Type.Optional(Type.String()),
        salt: Type.Optional(Type.String()),
        iterations: Type.Optional(Type.Integer({ minimum: 1 })),
        disabled: Type.Optional(Type.Boolean()),
        clientid: Type.Optional(Type.String()),
        roles: RoleRefs,
      }),
    ),
  ),
  groups: Type.Optional(
    Type.Array(
      Type.Object({
        groupname: Type.String(),
        roles: RoleRefs,
        clients: Type.Optional(Type.Array(Type.Object({ username: Type.String() }))),
      }),
    ),
  ),
  roles: Type.Optional(
    Type.Array(
      Type.Object({
        rolename: Type.String(),
        acls: Type.Optional(
          Type.Array(
            Type.Object({ acltype: Type.String(), topic: Type.String(), allow: Type.Boolean(), priority: Priority }),
          ),
        ),
      }),
    ),
  ),
})
type File = Static<typeof DynamicSecurityFile>

export interface DynamicSecurity {
  readonly logins: readonly MosquittoLogin[]
  readonly rulesOf: ReadonlyMap<string, readonly AclRule[]>
  readonly notes: readonly string[]
}

const ACTIONS: Readonly<Record<string, RuleAction>> = {
  publishClientSend: 'publish',
  publishClientReceive: 'subscribe',
  subscribeLiteral: 'subscribe',
  subscribePattern: 'subscribe',
}

interface RankedRule extends AclRule {
  readonly priority: number
}

/** Parses the file of the dynamic security plugin. Error: `command_failed` when it is not one. */
export function parseDynamicSecurity(path: string, text: string): DynamicSecurity {
  const file = parseFile(path, text)
  const notes: string[] = []
  const roles = new Map((file.roles ?? []).map((role) => [role.rolename, rulesOfRole(path, role, notes)]))
  const logins: MosquittoLogin[] = []
  const rulesOf = new Map<string, readonly AclRule[]>()
  for (const client of file.clients ?? []) {
    const at = `${path}: client ${client.username}`
    const { username, password, salt, iterations } = client
    if (client.disabled === true) notes.push(`${at}: is disabled, so it is not imported`)
    else if (password === undefined || salt === undefined || iterations === undefined) {
      notes.push(`${at}: has no PBKDF2 password`)
    } else {
      if (client.clientid !== undefined)
        notes.push(`${at}: is tied to client id ${client.clientid}, which Sluice does not check`)
      logins.push({ username, passwordHash: `$7$${iterations}$${salt}$${password}` })
      const named = [...(client.roles ?? []), ...rolesByGroup(file, username)].map(({ rolename }) => rolename)
      const ranked = [...new Set(named)].flatMap((rolename) => roles.get(rolename) ?? [])
      noteOvertaken(at, ranked, notes)
      rulesOf.set(username, [...ranked.map(plain), ...defaultRules(file)])
    }
  }
  return { logins, rulesOf, notes }
}

function parseFile(path: string, text: string): File {
  try {
    return Value.Parse(DynamicSecurityFile, JSON.parse(text))
  } catch (error) {
    throw new SluiceError('command_failed', `${path} is not a file of the dynamic security plugin: ${String(error)}`)
  }
}

function rulesOfRole(path: string, { rolename, acls }: NonNullable<File['roles']>[number], notes: string[]) {
  const rules: RankedRule[] = []
  for (const { acltype, topic, allow, priority = 0 } of acls ?? []) {
    const at = `${path}: role ${rolename}: ${allow ? 'allow' : 'deny'} ${acltype} ${topic}`
    const action = ACTIONS[acltype]
    // To give up a subscription needs no right here; what may be subscribed to may be received.
    if (acltype.startsWith('unsubscribe') || (acltype === 'publishClientReceive' && allow)) continue
    const reason = action === undefined ? 'an unknown kind of rule' : whyNotATopic(topic)
    if (action === undefined || reason !== undefined) notes.push(`${at}: ${reason}`)
    else rules.push({ effect: allow ? 'allow' : 'deny', action, topic, priority })
  }
  return rules
}

function rolesByGroup({ groups = [] }: File, username: string) {
  const own = groups.filter(({ clients = [] }) => clients.some((client) => client.username === username))
  return own.flatMap(({ roles = [] }) => roles)
}

/** There the rule of the highest priority decides, here a deny wins. */
function noteOvertaken(at: string, rules: readonly RankedRule[], notes: string[]): void {
  for (const allow of rules.filter(({ effect }) => effect === 'allow')) {
    const deny = rules.find((rule) => {
      const isLower = rule.effect === 'deny' && rule.action === allow.action && rule.priority < allow.priority
      return isLower && overlaps(rule.topic, allow.topic)
    })
    if (deny === undefined) continue
    notes.push(`${at}: ${allow.action} ${allow.topic} comes before a deny of ${deny.topic}; in Sluice the deny wins`)
  }
}

function plain({ effect, action, topic }: RankedRule): AclRule {
  return { effect, action, topic }
}

/** What nobody forbids, where the plugin was told to allow by default. */
function defaultRules({ defaultACLAccess: access }: File): AclRule[] {
  const rules: AclRule[] = []
  if (access?.publishClientSend === true) rules.push({ effect: 'allow', action: 'publish', topic: '#' })
  if (access?.subscribe === true) rules.push({ effect: 'allow', action: 'subscribe', topic: '#' })
  return rules
}
