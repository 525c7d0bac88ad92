import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { planImport } from '../../../../../services/cli/mosquitto/import-plan.ts'
import { parsePasswordFile } from '../../../../../services/cli/mosquitto/password-file.ts'

const HASH = '$7$101$AAECAwQFBgcICQoL$' + Buffer.alloc(64, 7).toString('base64')
const allow = (action: string, topic: string) => ({ effect: 'allow', action, topic })
const deny = (action: string, topic: string) => ({ effect: 'deny', action, topic })

/** A folder with these files; the path of mosquitto.conf. */
function configuration(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-import-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'conf.d'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return join(folder, 'mosquitto.conf')
}

function plan(files: Readonly<Record<string, string>>) {
  const { logins, notes } = planImport(configuration(files))
  return { logins: Object.fromEntries(logins.map((login) => [login.username, login])), notes: notes.join('\n') }
}

describe('password files', () => {
  it('keep hashes as they are, hash plain text, and name what they cannot use', () => {
    const text = `# users\nann:${HASH}\nbob:$6$c2FsdA==$aGFzaA==\nplain:secret\nempty:\nno colon\n`
    const { logins, notes } = parsePasswordFile('pw', text)
    expect(logins.map(({ username }) => username)).toEqual(['ann', 'plain'])
    expect(logins[0]?.passwordHash).toBe(HASH)
    expect(logins[1]?.passwordHash).toMatch(/^\$7\$101\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/=]{88}$/)
    expect(notes.join('\n')).toMatch(/pw:3: bob[^]*pw:5: empty[^]*pw:6: not username:password/)
    expect(JSON.stringify([logins, notes])).not.toContain('secret')
  })
})

describe('ACL files', () => {
  const conf = 'listener 1883\npassword_file pw\nacl_file acl\nallow_anonymous true\n'

  it('become rules of applications; patterns are filled in', () => {
    const acl = [
      ...['topic read public/#', 'user ann', 'topic read a/#', 'topic write b', 'topic c/+', 'topic deny a/secret'],
      ...['user bob', 'topic read $SYS/#', 'pattern write up/%u/#', 'pattern read by/%c', 'user nobody', 'junk x'],
    ].join('\n')
    const { logins, notes } = plan({ 'mosquitto.conf': conf, pw: `ann:${HASH}\nbob:${HASH}\n`, acl })
    expect(logins['ann']).toMatchObject({ kind: 'application', name: 'ann', passwordHash: HASH })
    expect(logins['ann']?.rules).toEqual([
      allow('subscribe', 'a/#'),
      allow('publish', 'b'),
      allow('publish', 'c/+'),
      allow('subscribe', 'c/+'),
      deny('publish', 'a/secret'),
      deny('subscribe', 'a/secret'),
      allow('publish', 'up/ann/#'),
    ])
    expect(logins['bob']?.rules).toEqual([allow('publish', 'up/bob/#')])
    for (const named of ['public/#', '$SYS', '%c', 'nobody', 'junk x', 'allow_anonymous'])
      expect(notes).toContain(named)
  })

  it('a user named and bound like a device becomes one', () => {
    const acl = 'pattern write t/%u/telemetry\npattern read t/%u/cmd/#\nuser demo/wide\ntopic t/demo/+/telemetry\n'
    const pw = `demo/pump:${HASH}\ndemo/wide:${HASH}\nodd name:${HASH}\n`
    const { logins } = plan({ 'mosquitto.conf': conf, pw, acl })
    expect(logins['demo/pump']).toMatchObject({ kind: 'device', name: 'demo/pump', rules: [] })
    expect(logins['demo/wide']).toMatchObject({ kind: 'application' })
    expect(logins['demo/wide']?.name).toMatch(/^demo-wide-[0-9a-f]{8}$/)
    expect(logins['odd name']?.name).toMatch(/^odd-name-[0-9a-f]{8}$/)
  })

  it('a name with a wildcard does not widen a pattern', () => {
    const { logins, notes } = plan({
      'mosquitto.conf': conf,
      pw: `a+:${HASH}\n#:${HASH}\n`,
      acl: 'pattern read t/%u/x\n',
    })
    expect(logins['a+']?.rules).toEqual([])
    expect(logins['#']).toBeUndefined()
    expect(notes).toContain('a+')
  })

  it('none means everything, and that is said', () => {
    const { logins, notes } = plan({ 'mosquitto.conf': 'password_file pw\n', pw: `ann:${HASH}\n` })
    expect(logins['ann']?.rules).toEqual([allow('publish', '#'), allow('subscribe', '#')])
    expect(notes).toContain('every client may publish and subscribe to everything')
  })
})

describe('dynamic security', () => {
  const conf = 'include_dir conf.d\n'
  const plugin = 'plugin /usr/lib/mosquitto_dynamic_security.so\nplugin_opt_config_file ../ds.json\n'
  const acls = [
    { acltype: 'publishClientSend', topic: 'a/#', allow: true, priority: 2 },
    { acltype: 'publishClientSend', topic: 'a/b', allow: false },
    { acltype: 'subscribePattern', topic: 'c/+', allow: true },
    { acltype: 'publishClientReceive', topic: 'c/d', allow: false },
    { acltype: 'unsubscribePattern', topic: '#', allow: true },
    { acltype: 'subscribeLiteral', topic: '$CONTROL/#', allow: true },
  ]
  const password = { password: 'cGFzcw==', salt: 'c2FsdA==', iterations: 101 }
  const json = JSON.stringify({
    defaultACLAccess: { publishClientSend: false, publishClientReceive: true, subscribe: true, unsubscribe: true },
    clients: [
      { username: 'ann', ...password, roles: [{ rolename: 'r' }], clientid: 'x' },
      { username: 'bob', ...password },
      { username: 'off', ...password, disabled: true },
    ],
    groups: [{ groupname: 'g', roles: [{ rolename: 'r' }], clients: [{ username: 'bob' }] }],
    roles: [{ rolename: 'r', acls }],
  })

  it('roles and groups become rules', () => {
    const { logins, notes } = plan({ 'mosquitto.conf': conf, 'conf.d/ds.conf': plugin, 'ds.json': json })
    const rules = [
      allow('publish', 'a/#'),
      deny('publish', 'a/b'),
      allow('subscribe', 'c/+'),
      deny('subscribe', 'c/d'),
      allow('subscribe', '#'),
    ]
    expect(logins['ann']).toMatchObject({ passwordHash: '$7$101$c2FsdA==$cGFzcw==', rules })
    expect(logins['bob']?.rules).toEqual(rules)
    expect(logins['off']).toBeUndefined()
    for (const named of ['off', 'client id x', '$CONTROL', 'in Sluice the deny wins']) expect(notes).toContain(named)
  })

  it('another file is refused', () => {
    const files = { 'mosquitto.conf': conf, 'conf.d/ds.conf': plugin, 'ds.json': '{"clients":5}' }
    expect(() => planImport(configuration(files))).toThrow(/not a file of the dynamic security plugin/)
  })

  it('a file that is not there is named', () => {
    expect(() => planImport(configuration({ 'mosquitto.conf': 'password_file gone\n' }))).toThrow(/gone cannot be read/)
  })
})
