import { createHash } from 'node:crypto'
import { MAX_RULES, rulesOf } from '../../../shared/acl.ts'
import type { AclRule, Principal } from '../../../shared/registry/port.ts'
import { unionContains } from '../../../shared/topic-filter.ts'
import { isName } from '../../../shared/names.ts'
import { parseDeviceKey } from '../../../shared/topics.ts'
import { parseAclFile } from './acl-file.ts'
import { readMosquittoConfig, readText } from './config-file.ts'
import { parseDynamicSecurity } from './dynamic-security.ts'
import { parsePasswordFile, type MosquittoLogin } from './password-file.ts'

/** One login as it will be in Sluice; `username` and password stay what they are for its client. */
export interface ImportedLogin extends MosquittoLogin {
  readonly kind: 'device' | 'application'
  readonly name: string
  /** Those of an application; a device's follow from its name. */
  readonly rules: readonly AclRule[]
}

export interface ImportPlan {
  readonly logins: readonly ImportedLogin[]
  /** What is not carried over, one sentence each. */
  readonly notes: readonly string[]
}

/** Reads a Mosquitto configuration with its files and says what becomes of it. Error: `command_failed`. */
export function planImport(configFile: string): ImportPlan {
  const config = readMosquittoConfig(configFile)
  const notes = [...config.notes]
  const logins = new Map<string, MosquittoLogin>()
  const rules = new Map<string, AclRule[]>()
  const patterns: AclRule[] = []
  const addLogins = (from: string, added: readonly MosquittoLogin[]): void => {
    for (const login of added) {
      if (logins.has(login.username)) notes.push(`${from}: ${login.username}: a second login with this name`)
      else logins.set(login.username, login)
    }
  }
  const addRules = (added: ReadonlyMap<string, readonly AclRule[]>): void => {
    for (const [user, own] of added) rules.set(user, [...(rules.get(user) ?? []), ...own])
  }
  for (const path of config.passwordFiles) {
    const file = parsePasswordFile(path, readText(path))
    addLogins(path, file.logins)
    notes.push(...file.notes)
  }
  for (const path of config.aclFiles) {
    const file = parseAclFile(path, readText(path))
    addRules(file.rulesOf)
    patterns.push(...file.patterns)
    notes.push(...file.notes)
  }
  for (const path of config.dynamicSecurityFiles) {
    const file = parseDynamicSecurity(path, readText(path))
    addLogins(path, file.logins)
    addRules(file.rulesOf)
    notes.push(...file.notes)
  }
  // Without any rules file Mosquitto lets everybody do everything.
  const isOpen = config.aclFiles.length === 0 && config.dynamicSecurityFiles.length === 0
  if (isOpen && logins.size > 0)
    notes.push(`${configFile}: has no acl_file: every client may publish and subscribe to everything, also in Sluice`)
  for (const user of rules.keys()) if (!logins.has(user)) notes.push(`rules of ${user}: no such login`)
  const planned = [...logins.values()].map((login) => {
    const own = isOpen ? EVERYTHING : (rules.get(login.username) ?? [])
    return planLogin(login, [...own, ...substitute(patterns, login.username, notes)], notes)
  })
  return { logins: planned.filter((login) => login !== undefined), notes }
}

const EVERYTHING: readonly AclRule[] = [
  { effect: 'allow', action: 'publish', topic: '#' },
  { effect: 'allow', action: 'subscribe', topic: '#' },
]

function planLogin(login: MosquittoLogin, rules: readonly AclRule[], notes: string[]): ImportedLogin | undefined {
  const { username } = login
  if (rules.length > MAX_RULES) {
    notes.push(`${username}: has ${rules.length} rules; at most ${MAX_RULES} are possible`)
    return undefined
  }
  const device = parseDeviceKey(username)
  if (
    device !== undefined &&
    isWithinDevice({ kind: 'device', name: username, ...device, uid: device.device }, rules)
  ) {
    return { ...login, kind: 'device', name: username, rules: [] }
  }
  return { ...login, kind: 'application', name: applicationName(username), rules }
}

/** Devices have fixed rules: a login is one when it could do nothing beyond them. */
function isWithinDevice(device: Principal, rules: readonly AclRule[]): boolean {
  return rules.every(({ effect, action, topic }) => {
    if (effect === 'deny') return false
    const allowed = rulesOf(device).filter((rule) => rule.effect === 'allow' && rule.action === action)
    const filters = allowed.map((rule) => rule.topic)
    return unionContains(filters, topic)
  })
}

/** The username where it is a name; else the closest name, made unique by a part of its hash. */
function applicationName(username: string): string {
  if (isName(username) && username !== '.' && username !== '..') return username
  const hash = createHash('sha256').update(username).digest('hex').slice(0, 8)
  return `${username.replaceAll(/[^A-Za-z0-9_.-]/g, '-').slice(0, 55)}-${hash}`
}

/** `%u` in the patterns of all; a name with wildcards would widen them. */
function substitute(patterns: readonly AclRule[], username: string, notes: string[]): AclRule[] {
  if (/[+#]/.test(username) && patterns.some(({ topic }) => topic.includes('%u'))) {
    notes.push(`${username}: its patterns with %u are not imported, because the name contains a wildcard`)
    return patterns.filter(({ topic }) => !topic.includes('%u'))
  }
  return patterns.map((rule) => ({ ...rule, topic: rule.topic.replaceAll('%u', () => username) }))
}
