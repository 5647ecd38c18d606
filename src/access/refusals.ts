/** What is said of access that is not given. */
import { GatewayError } from '../contract/errors.ts'

/** By the policy. */
export function refused(title: string): GatewayError {
  return new GatewayError('forbidden', 'gateway/access refused', { title })
}

export function notYours(): GatewayError {
  return new GatewayError('forbidden', 'nobody approves their own request', {
    title: 'Nobody approves their own request',
  })
}

export function conflict(title: string): GatewayError {
  return new GatewayError('conflict', title, { title })
}

export function notFound(): GatewayError {
  return new GatewayError('not_found', 'no such request or grant')
}

export function invalid(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}
