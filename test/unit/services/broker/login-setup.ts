import { onTestFinished, vi } from 'vitest'
import { createAuthenticator, type Authenticator, type Login } from '../../../../services/broker/access/authenticate.ts'
import { SluiceError } from '../../../../shared/errors.ts'
import { createFailedLogins } from '../../../../shared/failed-logins.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { LoginRegistry } from './login-registry.ts'

export interface LoginSetup {
  readonly registry: LoginRegistry
  readonly authenticator: Authenticator
  login(username?: string, password?: string | Uint8Array, remoteAddress?: string): Promise<string>
  /** With a certificate of this name. */
  present(certificateName: string, username?: string, password?: string): Promise<string>
}

/** `login` resolves with the principal's name or the error's code. */
export function setUpLogins(anonymousAs?: string, limitedMs = 0): LoginSetup {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] })
  const registry = new LoginRegistry()
  const metrics = createMetrics({ defaults: false })
  const options = { registry: registry.asRegistry(), logger: createLogger('silent'), metrics, anonymousAs }
  const authenticator = createAuthenticator({ ...options, limitedMs, failedLogins: createFailedLogins() })
  onTestFinished(() => {
    authenticator.close()
    vi.useRealTimers()
  })
  const outcome = async (login: Login): Promise<string> => {
    try {
      return (await authenticator.authenticate(login)).name
    } catch (error) {
      if (error instanceof SluiceError) return error.code
      throw error
    }
  }
  return {
    registry,
    authenticator,
    async login(username, password, remoteAddress = '192.0.2.1') {
      const bytes = typeof password === 'string' ? Buffer.from(password) : password
      return outcome({ username, password: bytes, remoteAddress })
    },
    async present(certificateName, username, password) {
      const bytes = password === undefined ? undefined : Buffer.from(password)
      return outcome({ username, password: bytes, remoteAddress: '192.0.2.1', certificateName })
    },
  }
}
