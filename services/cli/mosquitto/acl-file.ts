import type { AclRule, RuleAction, RuleEffect } from '../../../shared/registry/port.ts'
import { isReserved, isTopicFilter } from '../../../shared/topic-filter.ts'

export interface AclFile {
  /** Rules of users that the file names. */
  readonly rulesOf: ReadonlyMap<string, readonly AclRule[]>
  /** Rules of every user; `%u` stands for the name. */
  readonly patterns: readonly AclRule[]
  /** One sentence for each line that cannot be carried over. */
  readonly notes: readonly string[]
}

const ACCESS: Readonly<Record<string, { effect: RuleEffect; actions: readonly RuleAction[] }>> = {
  read: { effect: 'allow', actions: ['subscribe'] },
  write: { effect: 'allow', actions: ['publish'] },
  readwrite: { effect: 'allow', actions: ['publish', 'subscribe'] },
  deny: { effect: 'deny', actions: ['publish', 'subscribe'] },
}

/** Parses Mosquitto's `acl_file`: `user`, `topic` and `pattern` lines. In both worlds a deny wins over an allow. */
export function parseAclFile(path: string, text: string): AclFile {
  const rulesOf = new Map<string, AclRule[]>()
  const patterns: AclRule[] = []
  const notes: string[] = []
  let user: string | undefined
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const at = `${path}:${index + 1}: ${line}`
    const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? []
    if (keyword === 'user') {
      user = rest
      if (!rulesOf.has(user)) rulesOf.set(user, [])
      continue
    }
    const rules = keyword === 'topic' || keyword === 'pattern' ? parseRule(rest) : 'not a user, topic or pattern line'
    const target = keyword === 'pattern' ? patterns : rulesOf.get(user ?? '')
    if (typeof rules === 'string') notes.push(`${at}: ${rules}`)
    else if (target === undefined) notes.push(`${at}: applies to anonymous clients, which have no login in Sluice`)
    else target.push(...rules)
  }
  return { rulesOf, patterns, notes }
}

/** `[read|write|readwrite|deny] topic`; without the first word it is readwrite. A text says why there is no rule. */
function parseRule(text: string): AclRule[] | string {
  const [, word = '', rest = ''] = /^(\S+)\s+(.+)$/.exec(text) ?? []
  const access = ACCESS[word]
  const topic = access === undefined ? text : rest
  const { effect, actions } = access ?? { effect: 'allow' as const, actions: ['publish', 'subscribe'] as const }
  const reason = whyNotATopic(topic)
  return reason ?? actions.map((action) => ({ effect, action, topic }))
}

/** Why a filter of Mosquitto's cannot be one of ours; undefined when it can. */
export function whyNotATopic(topic: string): string | undefined {
  if (isReserved(topic)) return 'topics that begin with $ belong to the broker'
  if (topic.includes('%c')) return 'rules cannot depend on client ids in Sluice'
  return isTopicFilter(topic) ? undefined : 'not a topic filter'
}
