/* SPDX-License-Identifier: MIT */
#include "cjson.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <unistd.h>

#include "lazy.h"
#include "util.h"

#define LIBRARY "libcjson.so.1"

/* All that is called somewhere: type, name, parameters, arguments. */
/* clang-format off */
#define CALLS(F) \
	F(cJSON *, cJSON_AddArrayToObject, \
	  (cJSON *const object, const char *const name), (object, name)) \
	F(cJSON *, cJSON_AddBoolToObject, \
	  (cJSON *const object, const char *const name, const cJSON_bool boolean), (object, name, boolean)) \
	F(cJSON_bool, cJSON_AddItemToArray, \
	  (cJSON *array, cJSON *item), (array, item)) \
	F(cJSON_bool, cJSON_AddItemToObject, \
	  (cJSON *object, const char *string, cJSON *item), (object, string, item)) \
	F(cJSON *, cJSON_AddNullToObject, \
	  (cJSON *const object, const char *const name), (object, name)) \
	F(cJSON *, cJSON_AddNumberToObject, \
	  (cJSON *const object, const char *const name, const double number), (object, name, number)) \
	F(cJSON *, cJSON_AddObjectToObject, \
	  (cJSON *const object, const char *const name), (object, name)) \
	F(cJSON *, cJSON_AddStringToObject, \
	  (cJSON *const object, const char *const name, const char *const string), (object, name, string)) \
	F(cJSON *, cJSON_AddTrueToObject, \
	  (cJSON *const object, const char *const name), (object, name)) \
	F(cJSON *, cJSON_CreateArray, \
	  (void), ()) \
	F(cJSON *, cJSON_CreateBool, \
	  (cJSON_bool boolean), (boolean)) \
	F(cJSON *, cJSON_CreateFalse, \
	  (void), ()) \
	F(cJSON *, cJSON_CreateNull, \
	  (void), ()) \
	F(cJSON *, cJSON_CreateNumber, \
	  (double num), (num)) \
	F(cJSON *, cJSON_CreateObject, \
	  (void), ()) \
	F(cJSON *, cJSON_CreateRaw, \
	  (const char *raw), (raw)) \
	F(cJSON *, cJSON_CreateString, \
	  (const char *string), (string)) \
	F(cJSON *, cJSON_CreateStringArray, \
	  (const char *const *strings, int count), (strings, count)) \
	F(void, cJSON_Delete, \
	  (cJSON *item), (item)) \
	F(cJSON *, cJSON_DetachItemFromObjectCaseSensitive, \
	  (cJSON *object, const char *string), (object, string)) \
	F(cJSON *, cJSON_DetachItemViaPointer, \
	  (cJSON *parent, cJSON *const item), (parent, item)) \
	F(int, cJSON_GetArraySize, \
	  (const cJSON *array), (array)) \
	F(double, cJSON_GetNumberValue, \
	  (const cJSON *const item), (item)) \
	F(cJSON *, cJSON_GetObjectItem, \
	  (const cJSON *const object, const char *const string), (object, string)) \
	F(cJSON *, cJSON_GetObjectItemCaseSensitive, \
	  (const cJSON *const object, const char *const string), (object, string)) \
	F(char *, cJSON_GetStringValue, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_HasObjectItem, \
	  (const cJSON *object, const char *string), (object, string)) \
	F(cJSON_bool, cJSON_IsArray, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsBool, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsFalse, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsNull, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsNumber, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsObject, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsString, \
	  (const cJSON *const item), (item)) \
	F(cJSON_bool, cJSON_IsTrue, \
	  (const cJSON *const item), (item)) \
	F(cJSON *, cJSON_Parse, \
	  (const char *value), (value)) \
	F(cJSON *, cJSON_ParseWithLengthOpts, \
	  (const char *value, size_t buffer_length, const char **return_parse_end, cJSON_bool require_null_terminated), (value, buffer_length, return_parse_end, require_null_terminated)) \
	F(char *, cJSON_Print, \
	  (const cJSON *item), (item)) \
	F(char *, cJSON_PrintUnformatted, \
	  (const cJSON *item), (item)) \
	F(char *, cJSON_SetValuestring, \
	  (cJSON *object, const char *valuestring), (object, valuestring)) \
	F(void, cJSON_free, \
	  (void *object), (object))

#define MEMBER(type, name, parameters, arguments) type(*name) parameters;
#define SYMBOL(type, name, parameters, arguments) { #name, &calls.name },
#define FORWARD(type, name, parameters, arguments) \
	type name parameters \
	{ \
		need(); \
		return calls.name arguments; \
	}
/* clang-format on */

static struct {
	CALLS(MEMBER)
} calls;

static const struct lazy_symbol symbols[] = { CALLS(SYMBOL) };

int cjson_load(void)
{
	static bool loaded;

	if (!loaded && lazy_load(LIBRARY, symbols, ARRAY_SIZE(symbols)) < 0)
		return -1;
	loaded = true;
	return 0;
}

static void need(void)
{
	if (cjson_load() == 0)
		return;
	dprintf(STDERR_FILENO,
		"m9m-sandbox: cannot load " LIBRARY "\n"
		"m9m-sandbox: install the package that has it\n");
	_exit(125);
}

CALLS(FORWARD)
