import { logsIn } from './attacks.ts'
import type { AclCase, Connect, Stage } from './stage.ts'

const login = (name: string, attack: AclCase['attack']): AclCase => ({ name, guard: 'more', attack })

const NOTHING = Buffer.alloc(0)
const SECRET = Buffer.from('s')

const WITHOUT_SECRET: readonly [hole: string, Connect][] = [
  ['a username without password (CVE-2016-9877)', { username: 'a/1' }],
  ['an application without password (CVE-2016-9877)', { username: 'app' }],
  ['an empty password (CVE-2014-3612)', { username: 'a/1', password: NOTHING }],
  ['no username and no password', {}],
  ['an empty username and no password (CVE-2018-12551)', { username: '' }],
  ['an empty username and an empty password (CVE-2018-12551)', { username: '', password: NOTHING }],
  ['an empty username with a secret of somebody', { username: '', password: SECRET }],
  ['a wrong secret', { username: 'a/1', password: Buffer.from('S') }],
  ['a secret with more behind it', { username: 'a/1', password: Buffer.from('s\0') }],
  ['the username as password', { username: 'a/1', password: Buffer.from('a/1') }],
  ['a token of nobody', { username: 'slt_nobody' }],
  ['a token that is a pattern', { username: 'slt_*' }],
]

/** Usernames that are no device, with a secret that is one's. */
const USERNAMES: readonly [hole: string, username: string][] = [
  ['# (CVE-2017-7650)', '#'],
  ['+/+ (CVE-2017-7650)', '+/+'],
  ['a/# (CVE-2017-7650)', 'a/#'],
  ['a/+ (CVE-2017-7650)', 'a/+'],
  ['/ (CVE-2017-7650)', '/'],
  ['no device', 'a/'],
  ['no tenant', '/1'],
  ['the tenant alone', 'a'],
  ['an empty level', 'a//1'],
  ['a level more', 'a/1/'],
  ['a level before', '/a/1'],
  ['case', 'A/1'],
  ['a space behind', 'a/1 '],
  ['a space before', ' a/1'],
  ['a line break behind', 'a/1\n'],
  ['a tab within', 'a\t/1'],
  ['NUL behind', 'a/1\0'],
  ['NUL and more behind', 'a/1\0b'],
  ['DEL behind', 'a/1\u007f'],
  ['a control character of C1', 'a/1\u0085'],
  ['a Cyrillic letter', '\u0430/1'],
  ['a full-width digit', 'a/\uff11'],
  ['a full-width slash', 'a\uff0f1'],
  ['a space of no width', 'a/1\u200b'],
  ['a byte order mark before', '\ufeffa/1'],
  ['a combining accent', 'a\u0301/1'],
  ['percent encoding', 'a%2F1'],
  ['a pattern of LIKE', 'a/%'],
  ['a pattern of Redis', 'a/*'],
  ['SQL', "a/1' OR '1'='1"],
]

/** Connects with a client id that is somebody else's. */
async function takes(stage: Stage, clientId: string, clean: boolean): Promise<readonly string[]> {
  const { client, code } = await stage.attempt({ username: 'a/2', password: SECRET, clientId, clean })
  if (code !== 0) return []
  await stage.fence(client)
  const [answer] = client.packets
  const isThere = answer?.cmd === 'connack' && answer.sessionPresent
  return [...(isThere ? ['the session of another'] : []), ...stage.leaks(client)]
}

/** A device with a session that is kept, a command waiting in it, and its client id. */
async function waitingSession(stage: Stage): Promise<string> {
  const clientId = `kept-${stage.run}`
  const victim = await stage.client('a/1', { clientId, clean: false })
  await victim.subscribe(['t/a/1/cmd/#', 1])
  victim.send({ cmd: 'disconnect' })
  await victim.closed()
  await (await stage.admin()).publish('t/a/1/cmd/x', stage.secret)
  await stage.fence()
  return clientId
}

export const LOGINS: readonly AclCase[] = [
  ...WITHOUT_SECRET.map(([hole, connect]) => login(`login: ${hole}`, (stage) => logsIn(stage, connect))),
  ...USERNAMES.map(([hole, username]) =>
    login(`login as no device: ${hole}`, (stage) => logsIn(stage, { username, password: SECRET })),
  ),

  login("another login's client id: the session and what waits in it (mosquitto#3553)", async (stage) =>
    takes(stage, await waitingSession(stage), false),
  ),
  login('the scoped client id of another (mosquitto#3553)', async (stage) => {
    const clientId = `a/1/${await waitingSession(stage)}`
    const taken = await takes(stage, clientId, false)
    // Bare, the broker has no such scope: then the id itself is what matters.
    return taken.length > 0 ? taken : takes(stage, clientId.slice(4), false)
  }),
  login("another login's client id, clean: the session is not destroyed (mosquitto#3551)", async (stage) => {
    const clientId = await waitingSession(stage)
    await takes(stage, clientId, true)
    const victim = await stage.client('a/1', { clientId, clean: false })
    await stage.fence(victim)
    return stage.leaks(victim).length === 1 ? [] : ['what waited is gone']
  }),
  login("another login's client id: who is connected stays connected", async (stage) => {
    const clientId = `live-${stage.run}`
    const victim = await stage.client('a/1', { clientId })
    await takes(stage, clientId, true)
    if (!victim.isClosed) await stage.fence(victim)
    return victim.isClosed ? ['thrown out'] : []
  }),
  login('an application named like a tenant, with a client id like a device (mosquitto#3553)', async (stage) => {
    stage.place.registry.applications.set('a', [])
    const victim = await stage.client('a/1', { clientId: `x-${stage.run}` })
    for (const clientId of [`1/x-${stage.run}`, `/1/x-${stage.run}`, `x-${stage.run}`]) {
      await stage.attempt({ username: 'a', password: SECRET, clientId })
    }
    if (!victim.isClosed) await stage.fence(victim)
    return victim.isClosed ? ['thrown out'] : []
  }),
]
