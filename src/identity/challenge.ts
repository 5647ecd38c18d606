/** What a refused caller is told to present (RFC 6750 §3), and no more: one sentence for all that is bad. */
export const CHALLENGE = 'Bearer realm="sallyport"'
export const BAD_CREDENTIAL = `${CHALLENGE}, error="invalid_token"`
export const SEVERAL_CREDENTIALS = `${CHALLENGE}, error="invalid_request"`
