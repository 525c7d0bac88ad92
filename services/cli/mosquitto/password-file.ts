import { pbkdf2Sync, randomBytes } from 'node:crypto'

/** A login of Mosquitto's, with the password as Sluice takes it: `$7$iterations$salt$hash`, PBKDF2 with SHA-512, or `$argon2id$...`. */
export interface MosquittoLogin {
  readonly username: string
  readonly passwordHash: string
}

export interface PasswordFile {
  readonly logins: readonly MosquittoLogin[]
  /** One sentence for each line that cannot be carried over. */
  readonly notes: readonly string[]
}

const PBKDF2 = /^\$7\$[1-9]\d{0,9}\$[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]+={0,2}$/
/** As Mosquitto writes them from 2.1 on. */
const ARGON2ID = /^\$argon2id\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]+={0,2}$/
/** As many as mosquitto_passwd uses; the hash is replaced by Sluice's own at the first login. */
const ITERATIONS = 101

/** Parses a password file; a password in plain text, which Mosquitto takes too, is hashed here and now. */
export function parsePasswordFile(path: string, text: string): PasswordFile {
  const logins: MosquittoLogin[] = []
  const notes: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const at = `${path}:${index + 1}`
    const colon = line.indexOf(':')
    if (colon < 1) {
      notes.push(`${at}: not username:password`)
      continue
    }
    const username = line.slice(0, colon)
    const password = line.slice(colon + 1).trimEnd()
    if (PBKDF2.test(password) || ARGON2ID.test(password)) logins.push({ username, passwordHash: password })
    else if (password.startsWith('$6$')) {
      notes.push(`${at}: ${username}: hashed by mosquitto_passwd before 2.0; first set its password again there`)
    } else if (password.startsWith('$')) notes.push(`${at}: ${username}: unknown kind of hash`)
    else if (password === '') notes.push(`${at}: ${username}: has no password`)
    else logins.push({ username, passwordHash: hashPassword(password) })
  }
  return { logins, notes }
}

function hashPassword(password: string): string {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, ITERATIONS, 64, 'sha512')
  return `$7$${ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}`
}
