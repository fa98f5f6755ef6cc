// Says of each object, one a line of JSON on standard input, what the code of a Kubernetes API server says of it when it is created with strict
// field validation: one line of JSON each. Arguments: files of CustomResourceDefinitions.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	customvalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/networking/install"
	networkpolicy "k8s.io/kubernetes/pkg/apis/networking/validation"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type definition struct {
	schema    *structuralschema.Structural
	validator customvalidation.SchemaValidator
	rules     *cel.Validator
}

type verdict struct {
	Accepted bool            `json:"accepted"`
	Fields   []string        `json:"fields,omitempty"`
	Error    string          `json:"error,omitempty"`
	Object   json.RawMessage `json:"object"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func definitionsOf(files []string) map[string]definition {
	found := map[string]definition{}
	for _, file := range files {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		must(0, yaml.Unmarshal(must(os.ReadFile(file)), crd))
		for _, version := range crd.Spec.Versions {
			internal := &apiextensions.JSONSchemaProps{}
			must(0, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, internal, nil))
			schema := must(structuralschema.NewStructural(internal))
			validator, _, err := customvalidation.NewSchemaValidator(internal)
			must(0, err)
			key := crd.Spec.Group + "/" + version.Name + " " + crd.Spec.Names.Kind
			found[key] = definition{schema, validator, cel.NewValidator(schema, true, celconfig.PerCallLimit)}
		}
	}
	return found
}

// named gives what has only a prefix the name that a server would.
func named(meta *metav1.ObjectMeta) {
	if meta.Name == "" && meta.GenerateName != "" {
		meta.Name = meta.GenerateName + "abcde"
	}
}

func builtIn(text []byte) (field.ErrorList, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	strict := serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme, scheme, serializer.SerializerOptions{Strict: true})
	object, _, err := strict.Decode(text, nil, &networkingv1.NetworkPolicy{})
	if err != nil {
		return nil, err
	}
	scheme.Default(object)
	internal, err := scheme.ConvertToVersion(object, networking.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	policy := internal.(*networking.NetworkPolicy)
	if policy.Namespace == "" {
		policy.Namespace = "default"
	}
	named(&policy.ObjectMeta)
	return networkpolicy.ValidateNetworkPolicy(policy, networkpolicy.NetworkPolicyValidationOptions{}), nil
}

func custom(of definition, text []byte) (field.ErrorList, error) {
	object := map[string]interface{}{}
	twice, err := strictjson.UnmarshalStrict(text, &object)
	if err != nil {
		return nil, err
	}
	var errs field.ErrorList
	for _, one := range twice {
		errs = append(errs, field.Forbidden(field.NewPath("strict"), one.Error()))
	}
	unknown := pruning.PruneWithOptions(object, of.schema, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if metadata, ok := object["metadata"].(map[string]interface{}); ok {
		delete(metadata, "namespace") // as a server does of what is cluster-wide
	}
	meta, found, unknownMeta, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, err
	}
	if !found {
		meta = &metav1.ObjectMeta{}
	}
	for _, path := range append(unknown, unknownMeta...) {
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, of.schema)
	defaulting.Default(object, of.schema)
	named(meta)
	errs = append(errs, validation.ValidateObjectMeta(meta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
	errs = append(errs, customvalidation.ValidateCustomResource(nil, object, of.validator)...)
	errs = append(errs, objectmeta.Validate(nil, object, of.schema, true)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, of.schema, object)...)
	if of.rules != nil && len(errs) == 0 {
		more, _ := of.rules.Validate(context.Background(), nil, of.schema, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	return errs, nil
}

func main() {
	definitions := definitionsOf(os.Args[1:])
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	for in.Scan() {
		said := verdict{Object: append(json.RawMessage{}, in.Bytes()...)}
		about := struct{ APIVersion, Kind string }{}
		must(0, json.Unmarshal(in.Bytes(), &about))
		var errs field.ErrorList
		var err error
		if of, ok := definitions[about.APIVersion+" "+about.Kind]; ok {
			errs, err = custom(of, in.Bytes())
		} else {
			errs, err = builtIn(in.Bytes())
		}
		for _, one := range errs {
			said.Fields = append(said.Fields, one.Field)
		}
		if err != nil {
			said.Error = err.Error()
		}
		said.Accepted = err == nil && len(errs) == 0
		fmt.Println(string(must(json.Marshal(said))))
	}
}
